"""How the camera moved, by its images and by the vehicle's word, against motions that are known."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.tracking import CameraTracker, IouTracker, IouTrackerConfig, warp_of_rotation
from roadmask.tracking.camera.image_motion import SmallImage, image_motion
from roadmask.tracking.iou.motion import warped
from support.scenes import MS, frame

SIZE = (180, 480)
NOTHING = np.zeros((0, 4), np.float32)
CARS = np.array([[60.0, 60, 90, 84], [130, 66, 150, 82], [230, 58, 262, 86], [330, 70, 352, 90]])
BLIND = IouTrackerConfig(camera_share=1, far_overlap_min=1)
"""Lets neither boxes nor nearness stand in for what is known of the camera."""


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """A background full of corners."""
    noise = np.random.default_rng(seed).uniform(0, 255, (SIZE[0] // 6, SIZE[1] // 6, 3)).astype(np.float32)
    return cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_LINEAR).clip(0, 255).astype(np.uint8)


def camera(x: float, y: float, degrees: float = 0, scale: float = 1) -> NDArray[np.float64]:
    turn, middle = np.deg2rad(degrees), np.array([SIZE[1] / 2, SIZE[0] / 2])
    warp = np.eye(3)
    warp[:2, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    warp[:2, 2] = middle + np.array([x, y]) - warp[:2, :2] @ middle
    return warp


def seen_by(warp: NDArray[np.float64], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.warpAffine(image, warp[:2], SIZE[::-1], borderMode=cv2.BORDER_REFLECT_101)


def small(image: NDArray[np.uint8]) -> SmallImage:
    return SmallImage.of(image, NOTHING)


@pytest.mark.parametrize("moved", [(0, 0), (3.5, -1.5), (10, 4, 1.5), (0, 0, 0, 1.03), (-48, 20, 2)], ids=str)
def test_the_image_tells_how_the_camera_moved(moved: tuple[float, ...]) -> None:
    true = camera(*moved)
    found = image_motion(small(texture()), small(seen_by(true, texture())))
    assert found is not None
    corners = np.array([[x, y, 1] for x in (0, SIZE[1]) for y in (0, SIZE[0])], float).T
    assert np.abs((found - true) @ corners)[:2].max() < 1.5


def test_what_moves_by_itself_is_not_looked_at() -> None:
    """A lorry over two thirds of the image drives by before a wall that stands still."""
    before, now = texture(), texture()
    lorry = texture(1)
    before[:, 100:420] = lorry[:, 100:420]
    now[:, 100:420] = lorry[:, 112:432]
    box = np.array([[100, 0, 420, 180]], np.float32)
    found = image_motion(SmallImage.of(before, box), SmallImage.of(now, box))
    assert found is not None
    np.testing.assert_allclose(found, np.eye(3), atol=0.3)
    fooled = image_motion(small(before), small(now))
    assert fooled is None or abs(fooled[0, 2]) > 5


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (texture(), texture(1)),  # a cut
        (texture(), np.zeros((*SIZE, 3), np.uint8)),  # a blackout
        (np.zeros((*SIZE, 3), np.uint8), texture()),  # nothing to follow
        (texture(), texture()[:90]),  # another size
    ],
)
def test_images_that_do_not_tell_give_none(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> None:
    assert image_motion(small(before), small(now)) is None


@pytest.mark.parametrize("size", [(1, 1), (8, 900), (2000, 16)])
def test_odd_sizes_are_taken(size: tuple[int, int]) -> None:
    assert image_motion(small(np.zeros((*size, 3), np.uint8)), small(np.zeros((*size, 3), np.uint8))) is None


def test_the_same_bytes_in_every_process() -> None:
    script = (
        "import sys, numpy as np, cv2; sys.path.insert(0, 'tests'); cv2.setNumThreads(int(sys.argv[1]));"
        "from roadmask.tracking.camera.image_motion import SmallImage, image_motion;"
        "a = cv2.resize(np.random.default_rng(0).integers(0, 255, (30, 80, 3)).astype(np.uint8), (640, 240));"
        "s = [SmallImage.of(p, np.zeros((0, 4), np.float32)) for p in (a, np.roll(a, 9, 1))];"
        "print(image_motion(*s).tobytes().hex())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", script, n], capture_output=True, text=True, check=True).stdout
        for n in ("1", "2", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().strip()) == 9 * 16


def follow(tracker: CameraTracker | IouTracker, shakes: list[NDArray[np.float64]], *, told: bool) -> list[list[int]]:
    ids, before = [], np.eye(3)
    for n, shaken in enumerate(shakes):
        boxes = frame(*warped(CARS, shaken).tolist(), size=SIZE)
        step = shaken @ np.linalg.inv(before) if told else None
        tracks = tracker.update(boxes, n * 100 * MS, seen_by(shaken, texture()), camera=step)
        ids.append(tracks.track_ids.tolist())
        before = shaken
    return ids


def shakes(count: int = 12) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    return [camera(*rng.uniform(-24, 24, 2) * (1, 0.5), rng.uniform(-1, 1)) for _ in range(count)]


def test_a_shaking_camera_keeps_its_ids_by_the_image_and_by_the_pose_but_not_by_boxes() -> None:
    kept = [[1, 2, 3, 4]] * 12
    assert [sorted(each) for each in follow(CameraTracker(IouTracker(BLIND)), shakes(), told=False)] == kept
    assert [sorted(each) for each in follow(IouTracker(BLIND), shakes(), told=True)] == kept
    assert max(max(each) for each in follow(IouTracker(BLIND), shakes(), told=False)) > 8


def test_a_restored_tracker_goes_on_as_if_it_had_seen_the_image() -> None:
    moves = shakes()
    whole = CameraTracker(IouTracker(BLIND))
    expected = follow(whole, moves, told=False)
    first, second = CameraTracker(IouTracker(BLIND)), CameraTracker(IouTracker(BLIND))
    follow(first, moves[:6], told=False)
    arrays = first.state().to_arrays()
    assert {array.dtype.kind for array in arrays.values()} <= set("iufb")
    second.restore(arrays)
    for n in range(6, 12):
        boxes = frame(*warped(CARS, moves[n]).tolist(), size=SIZE)
        tracks = second.update(boxes, n * 100 * MS, seen_by(moves[n], texture()))
        assert tracks.track_ids.tolist() == expected[n]
    ours, theirs = second.state().to_arrays(), whole.state().to_arrays()
    assert ours.keys() == theirs.keys()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


def test_an_epoch_forgets_the_image_and_a_damaged_state_is_refused() -> None:
    tracker = CameraTracker()
    tracker.update(frame(*CARS.tolist(), size=SIZE), 0, texture())
    damaged = tracker.state().to_arrays()
    del damaged["image/grey"]
    with pytest.raises(InputError, match="grey"):
        CameraTracker().restore(damaged)
    tracker.start_epoch()
    assert tracker.state().image is None
    assert tracker.next_id == 5


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        CameraTracker().update(frame(*CARS.tolist(), size=SIZE), 0, np.zeros(SIZE, np.uint8))


def test_a_yaw_moves_the_image_by_its_focal_length() -> None:
    intrinsics = np.array([[700.0, 0, 480], [0, 700, 270], [0, 0, 1]])
    yaw = np.deg2rad(1)
    rotation = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    x, y, w = warp_of_rotation(rotation, intrinsics) @ np.array([480, 270, 1])
    assert x / w == pytest.approx(480 - 700 * np.tan(yaw))
    assert y / w == pytest.approx(270)


@pytest.mark.parametrize(
    ("rotation", "intrinsics", "message"),
    [
        (2 * np.eye(3), np.eye(3), "orthonormal"),
        (np.diag([1.0, 1, -1]), np.eye(3), "determinant"),
        (np.eye(3), np.zeros((3, 3)), "intrinsics"),
        (np.full((3, 3), np.nan), np.eye(3), "orthonormal"),
    ],
)
def test_what_is_no_rotation_or_camera_is_refused(
    rotation: NDArray[np.float64], intrinsics: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        warp_of_rotation(rotation, intrinsics)
