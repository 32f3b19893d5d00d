"""The sample drive: the same on every run, and its truth is what was drawn."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import ConfigError
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive import VIEWS, SampleDrive, SampleDriveConfig, scene

MIDDLE = 140  # a frame with cars and people, near and far, whole and partly hidden


@pytest.fixture(scope="module")
def front() -> SampleDrive:
    return SampleDrive(SampleDriveConfig(view="front"))


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def test_default_is_ten_seconds_at_25_fps(front: SampleDrive) -> None:
    assert len(front) == 250
    assert front.fps == 25.0
    assert front.image_size == (384, 640)
    image = front.render(0)
    assert image.shape == (384, 640, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("view", VIEWS)
def test_two_instances_draw_the_same_bytes_in_any_order(view: str) -> None:
    one, other = (SampleDrive(SampleDriveConfig(view=view)) for _ in range(2))
    forwards = [digest(one.render(i)) for i in (3, MIDDLE, 200)]
    backwards = [digest(other.render(i)) for i in (200, MIDDLE, 3)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 3


def test_a_simpler_processor_draws_the_same_bytes(front: SampleDrive) -> None:
    """Libraries choose faster code on newer processors; none of it may round differently into the image."""
    program = (
        "import hashlib; from roadmask.sample_drive import SampleDrive;"
        f"print(hashlib.sha256(SampleDrive().render({MIDDLE}).tobytes()).hexdigest())"
    )
    simpler = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name]),
        "OPENCV_CPU_DISABLE": "AVX512_SKX,AVX2,FMA3,FP16,AVX",
        "OPENCV_IPP": "disabled",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA",
    }
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | simpler
    )
    assert answer.stdout.strip().splitlines()[-1] == digest(front.render(MIDDLE))


def test_frame_is_render_and_truth_at_once(front: SampleDrive) -> None:
    image, truth = front.frame(MIDDLE)
    assert np.array_equal(image, front.render(MIDDLE))
    alone = front.truth(MIDDLE)
    assert truth.instances.masks is not None
    assert alone.instances.masks is not None
    assert truth.instances.masks.to_rle().counts == alone.instances.masks.to_rle().counts
    assert np.array_equal(truth.object_ids, alone.object_ids)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("index", [0, MIDDLE, 249])
def test_truth_is_well_formed(view: str, index: int) -> None:
    drive = SampleDrive(SampleDriveConfig(view=view))
    truth = drive.truth(index)
    masks = truth.instances.masks
    assert isinstance(masks, RleMasks)
    masks.validate()
    dense = np.stack(list(masks.dense()))
    assert dense.sum(axis=0).max() == 1, "every pixel shows one object at most"
    for mask, box in zip(dense, truth.instances.boxes, strict=True):
        ys, xs = np.nonzero(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert len(set(truth.object_ids.tolist())) == len(truth)
    assert truth.object_ids.dtype == np.int64
    assert truth.visible_fraction.dtype == np.float32
    assert (truth.visible_fraction > 0).all()
    assert (truth.visible_fraction <= 1).all()


def test_ids_stay_with_their_objects_in_both_views() -> None:
    category_ids: dict[int, set[int]] = {}
    for view in VIEWS:
        drive = SampleDrive(SampleDriveConfig(view=view))
        for index in range(0, len(drive), 25):
            truth = drive.truth(index)
            for object_id, label in zip(truth.object_ids.tolist(), truth.instances.category_ids.tolist(), strict=True):
                category_ids.setdefault(object_id, set()).add(label)
    assert all(len(seen) == 1 for seen in category_ids.values())
    kinds = [next(iter(seen)) for seen in category_ids.values()]
    assert kinds.count(CAR) >= 10
    assert kinds.count(PEDESTRIAN) >= 10


def test_objects_move_little_from_frame_to_frame(front: SampleDrive) -> None:
    """An id that jumped from one object to another would leave no overlap."""
    before, after = front.truth(MIDDLE), front.truth(MIDDLE + 1)
    iou = before.instances.masks.iou(after.instances.masks)
    for row, object_id in enumerate(before.object_ids.tolist()):
        if before.instances.masks.area[row] > 200:
            column = after.object_ids.tolist().index(object_id)
            assert iou[row, column] == iou[row].max() > 0.5


@pytest.mark.parametrize("label", [CAR, PEDESTRIAN])
def test_drawing_without_an_object_changes_its_mask_and_little_else(front: SampleDrive, label: int) -> None:
    image, truth = front.frame(MIDDLE)
    masks = truth.instances.masks
    candidates = np.flatnonzero(truth.instances.category_ids == label)
    row = int(candidates[np.argmax(masks.area[candidates])])
    mask = next(masks[row : row + 1].dense())
    without, _ = front.frame(MIDDLE, without=frozenset({int(truth.object_ids[row])}))
    changed = np.abs(image.astype(int) - without).max(axis=2) > 8

    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert changed[inner].mean() > 0.8, "what lies behind an object looks different"
    # Outside, only its shadow may change: on the ground, below the middle of the object.
    outer = ~cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
    rows = np.flatnonzero((changed & outer).any(axis=1))
    top, bottom = truth.instances.boxes[row, [1, 3]]
    assert not len(rows) or rows[0] > (top + bottom) / 2


def test_without_an_object_all_others_are_seen_as_much_or_more(front: SampleDrive) -> None:
    truth = front.truth(MIDDLE)
    largest = int(truth.object_ids[np.argmax(truth.instances.masks.area)])
    _, fewer = front.frame(MIDDLE, without=frozenset({largest}))
    seen = dict(zip(truth.object_ids.tolist(), truth.visible_fraction.tolist(), strict=True))
    more = dict(zip(fewer.object_ids.tolist(), fewer.visible_fraction.tolist(), strict=True))
    assert set(seen) - {largest} <= set(more)
    assert all(more[i] >= seen.get(i, 0.0) for i in more)
    assert any(more[i] > seen.get(i, 0.0) for i in more), "it hides part of somebody"


@pytest.mark.parametrize(
    ("what", "is_person"),
    [("a pedestrian passes behind a car", True), ("a car passes behind another", False)],
)
def test_someone_is_hidden_for_a_while_and_comes_back(front: SampleDrive, what: str, is_person: bool) -> None:
    label = PEDESTRIAN if is_person else CAR
    seen: dict[int, list[float]] = {}
    for index in range(130, 200, 2):
        truth = front.truth(index)
        now = dict(zip(truth.object_ids.tolist(), truth.visible_fraction.tolist(), strict=True))
        mine = {i for i, actor in enumerate(scene.ACTORS, 1) if isinstance(actor, scene.Person) == is_person}
        assert {i for i, kind in zip(now, truth.instances.category_ids.tolist(), strict=True) if kind == label} <= mine
        for object_id in mine:
            seen.setdefault(object_id, []).append(now.get(object_id, 0.0))
    returned = []
    for object_id, fractions in seen.items():
        lowest = int(np.argmin(fractions))
        if fractions[lowest] < 0.1 and max(fractions[:lowest], default=0) > 0.8 < max(fractions[lowest:]):
            returned.append(object_id)
    assert returned, what


def test_sizes_vary_from_far_to_near(front: SampleDrive) -> None:
    for label in (CAR, PEDESTRIAN):
        heights: list[float] = []
        for index in range(0, 250, 25):
            found = front.truth(index).instances
            heights.extend((found.boxes[:, 3] - found.boxes[:, 1])[found.category_ids == label].tolist())
        assert min(heights) < 20
        assert sum(20 <= h < 60 for h in heights) >= 5
        assert max(heights) > 120


def test_views_and_rates_differ() -> None:
    rear = SampleDrive(SampleDriveConfig(view="rear", fps=12.5))
    front = SampleDrive(SampleDriveConfig(view="front", fps=12.5))
    assert len(rear) == 125
    assert digest(rear.render(10)) != digest(front.render(10))
    # Frame 10 at 12.5 fps is frame 20 at 25 fps.
    faster = SampleDrive(SampleDriveConfig(view="rear", fps=25))
    assert rear.truth(10).instances.masks.to_rle().counts == faster.truth(20).instances.masks.to_rle().counts


def test_any_size_can_be_drawn() -> None:
    drive = SampleDrive(SampleDriveConfig(seconds=0.2, height=93, width=201))
    image, truth = drive.frame(2)
    assert image.shape == (93, 201, 3)
    assert truth.instances.image_size == (93, 201)
    assert len(truth) > 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"view": "left"}, "front, rear"),
        ({"seconds": 0}, "60 seconds"),
        ({"fps": -1}, "240 frames"),
        ({"height": 8}, "32 to 4096"),
    ],
)
def test_a_wrong_config_says_what_is_possible(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SampleDriveConfig(**wrong)


@pytest.mark.parametrize("index", [-1, 250])
def test_there_is_no_frame_outside_the_drive(front: SampleDrive, index: int) -> None:
    with pytest.raises(IndexError, match="0 to 249"):
        front.render(index)
