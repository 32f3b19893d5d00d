"""A turning camera, told from boxes alone, and things that are partly hidden."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.engines.errors import InputError
from roadmask.tracking import IouTracker, IouTrackerConfig
from roadmask.tracking.iou.association import box_iou, centre_distance, generalized_iou, size_ratio
from roadmask.tracking.iou.camera_motion import common_displacement, stands_still
from roadmask.tracking.iou.motion import displacement, warped
from support.scenes import MS, frame, square

REACH = (100.0, 50.0)
STREET = np.array([square(20, 50, 30), square(90, 60, 20), square(160, 40, 40), square(250, 55, 24)], np.float64)
CARS = np.full(4, 3)


@pytest.mark.parametrize("turn", [(0, 0), (55, 0), (-70, 8), (40, -20)])
def test_the_common_displacement_is_found(turn: tuple[float, float]) -> None:
    seen = STREET + np.tile(turn, 2)
    found = common_displacement(STREET, CARS, seen[::-1], CARS, REACH, 0.3)
    np.testing.assert_allclose(found, turn)


@pytest.mark.parametrize(
    ("seen", "category_ids", "why"),
    [
        (STREET + np.array([[60, 0, 60, 0], [0] * 4, [0] * 4, [0] * 4]), CARS, "only one thing moved"),
        (STREET + 55, np.full(4, 1), "things of another class"),
        (STREET + np.tile((150, 0), 2), CARS, "beyond reach"),
        (STREET[:0], CARS[:0], "nothing seen"),
    ],
)
def test_else_the_camera_stood_still(seen: np.ndarray, category_ids: np.ndarray, why: str) -> None:
    assert common_displacement(STREET, CARS, seen, category_ids, REACH, 0.3).tolist() == [0, 0], why


@pytest.mark.parametrize(("camera_share", "kept"), [(0.3, True), (1.0, False)])
def test_ids_survive_a_sudden_turn(camera_share: float, kept: bool) -> None:
    tracker = IouTracker(IouTrackerConfig(camera_share=camera_share, far_overlap_min=1))
    for n in range(5):
        before = tracker.update(frame(*STREET.tolist()), n * 100 * MS)
    turned = tracker.update(frame(*(STREET + np.tile((55, 0), 2)).tolist()), 500 * MS)
    assert (turned.track_ids.tolist() == before.track_ids.tolist()) is kept


@pytest.mark.parametrize(
    ("later", "hits", "moved"),
    [
        ([10, 0, 50, 40], 5, [10, 0]),  # moved as a whole: the centre
        ([10, 0, 25, 40], 5, [10, 0]),  # its right part is covered: the left edge
        ([35, 0, 50, 40], 5, [10, 0]),  # its left part is covered: the right edge
        ([10, 0, 25, 40], 1, [-2.5, 0]),  # nothing expected yet: the centre
    ],
)
def test_a_covered_part_is_no_movement(later: list[float], hits: int, moved: list[float]) -> None:
    box, expected = np.array([[0.0, 0, 40, 40]]), np.array([[9.0, 0]])
    found = displacement(box, np.array([later], np.float64), expected, np.array([hits]))
    np.testing.assert_allclose(found, [moved])


def test_far_boxes_are_told_apart_by_distance_and_size() -> None:
    box = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [30, 0, 40, 10], [0, 0, 5, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(generalized_iou(box, others), [[1, 0, -0.5, 0.5, 0]])
    np.testing.assert_allclose(size_ratio(box, others), [[1, 1, 1, 0.5, 0.1]])
    np.testing.assert_allclose(centre_distance(box, others[:3]), [[0, 1, 3]])


@pytest.mark.parametrize(("far_overlap_min", "kept"), [(-0.35, True), (1.0, False)])
def test_a_lone_car_may_outrun_its_box(far_overlap_min: float, kept: bool) -> None:
    tracker = IouTracker(IouTrackerConfig(far_overlap_min=far_overlap_min))
    tracker.update(frame(square(50, side=20)), 0)
    assert (tracker.update(frame(square(80, side=20)), 100 * MS).track_ids.tolist() == [1]) is kept


def test_a_known_camera_carries_the_tracks_along() -> None:
    """The image jumps by 55 px and grows by a tenth; a car without that knowledge would be lost."""
    camera = np.array([[1.1, 0, 55], [0, 1.1, -5], [0, 0, 1]])
    config = IouTrackerConfig(camera_share=1, far_overlap_min=1)
    known, unknown = IouTracker(config), IouTracker(config)
    for n in range(5):
        before = known.update(frame(*STREET.tolist()), n * 100 * MS)
        unknown.update(frame(*STREET.tolist()), n * 100 * MS)
    moved = frame(*warped(STREET, camera).tolist())
    after = known.update(moved, 500 * MS, camera=camera)
    assert after.track_ids.tolist() == before.track_ids.tolist()
    np.testing.assert_allclose(after.velocities, 0, atol=1e-3)  # of the things, not of the camera
    assert unknown.update(moved, 500 * MS).track_ids.tolist() != before.track_ids.tolist()


@pytest.mark.parametrize("camera", [np.eye(2), np.full((3, 3), np.nan)])
def test_a_camera_that_is_no_homography_is_refused(camera: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"\(3, 3\) homography"):
        IouTracker().update(frame(square(50)), 0, camera=camera)


def test_a_turned_image_does_not_let_boxes_grow() -> None:
    boxes, turn = np.array([[100.0, 50, 140, 90]]), np.deg2rad(5)
    camera = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    turned = warped(boxes, camera)
    np.testing.assert_allclose(turned[:, 2:] - turned[:, :2], 40 * np.cos(turn))


def test_the_shortcut_never_hides_a_turn() -> None:
    draw = np.random.default_rng(6)
    category_ids, told = np.full(6, 3, np.int64), []
    for _ in range(300):
        corner, sides = draw.uniform(0, 300, (6, 2)), draw.uniform(10, 60, (6, 2))
        predicted = np.concatenate([corner, corner + sides], axis=1)
        turn = draw.choice([0.0, 10.0, 40.0]) * draw.normal(0, 1, 2)
        boxes = predicted + np.tile(turn, 2) + draw.normal(0, 3, (6, 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        if stands_still(predicted, boxes, box_iou(predicted, boxes), (80, 80), 0.5):
            assert not common_displacement(predicted, category_ids, boxes, category_ids, (80, 80), 0.5).any()
            told.append(True)
    assert 30 < len(told) < 300
