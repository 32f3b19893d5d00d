"""Scoring against the sample drive's truth, on cases made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive import TruthFrame, score_drive

SIZE = (100, 200)
Box = tuple[int, int, int, int]

LARGE: Box = (10, 10, 50, 50)
LARGE_SHIFTED: Box = (20, 10, 60, 50)  # IoU 30 / 50 = 0.6 with LARGE
LARGE_HALF: Box = (10, 10, 28, 50)  # IoU 0.45 with LARGE
OTHER: Box = (100, 10, 140, 50)
LOW: Box = (10, 60, 50, 79)  # 19 px high: ignored
JUST: Box = (10, 60, 50, 80)  # 20 px high: counts
INSIDE_LOW: Box = (12, 62, 22, 72)
NOWHERE: Box = (150, 60, 190, 90)


def instances(boxes: list[Box], category_ids: list[int] | None = None) -> Instances:
    dense = np.zeros((len(boxes), *SIZE), bool)
    for mask, (x1, y1, x2, y2) in zip(dense, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    count = len(boxes)
    return Instances(
        SIZE,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.array(category_ids if category_ids is not None else [CAR] * count, np.int64),
        RleMasks.from_dense(dense, SIZE),
    )


def truth(boxes: list[Box], ids: list[int] | None = None, category_ids: list[int] | None = None) -> TruthFrame:
    numbers = ids if ids is not None else list(range(1, len(boxes) + 1))
    found = instances(boxes, category_ids)
    return TruthFrame(found, np.array(numbers, np.int64), np.ones(len(boxes), np.float32))


@pytest.mark.parametrize(
    ("there", "said", "counted", "found", "false"),
    [
        pytest.param([LARGE], [LARGE], 1, 1, 0, id="found"),
        pytest.param([LARGE], [LARGE_SHIFTED], 1, 1, 0, id="found well enough"),
        pytest.param([LARGE], [LARGE_HALF], 1, 0, 1, id="too little overlap: a miss and a false one"),
        pytest.param([LARGE], [], 1, 0, 0, id="missed"),
        pytest.param([], [LARGE], 0, 0, 1, id="made up"),
        pytest.param([LARGE, OTHER], [OTHER, LARGE], 2, 2, 0, id="order does not matter"),
        pytest.param([LARGE], [LARGE, LARGE_SHIFTED], 1, 1, 1, id="found twice: one is false"),
        pytest.param([LARGE], [LARGE_SHIFTED, LARGE], 1, 1, 1, id="found twice, the better one last"),
        pytest.param([LOW], [], 0, 0, 0, id="too low to be missed"),
        pytest.param([LOW], [LOW], 0, 0, 0, id="too low to be found"),
        pytest.param([LOW], [INSIDE_LOW], 0, 0, 0, id="a part of what is too low is not false"),
        pytest.param([LOW], [NOWHERE], 0, 0, 1, id="beside what is too low is false"),
        pytest.param([JUST], [JUST], 1, 1, 0, id="20 px count"),
        pytest.param([LARGE, LOW], [LARGE, LOW, NOWHERE], 1, 1, 1, id="all kinds"),
        pytest.param([], [], 0, 0, 0, id="nothing at all"),
    ],
)
def test_one_frame(there: list[Box], said: list[Box], counted: int, found: int, false: int) -> None:
    score = score_drive([instances(said)], [truth(there)], category_ids=[CAR])[CAR]
    assert (score.truth, score.found, score.false) == (counted, found, false)


def test_the_better_of_two_is_the_match() -> None:
    score = score_drive([instances([LARGE_SHIFTED, LARGE])], [truth([LARGE])])[CAR]
    assert score.mean_iou == pytest.approx(1.0)


def test_classes_are_apart() -> None:
    score = score_drive([instances([LARGE], [PEDESTRIAN])], [truth([LARGE], category_ids=[CAR])])
    assert (score[CAR].truth, score[CAR].found, score[CAR].false) == (1, 0, 0)
    assert (score[PEDESTRIAN].truth, score[PEDESTRIAN].found, score[PEDESTRIAN].false) == (0, 0, 1)
    assert score[CAR].name == "car"
    with pytest.raises(KeyError):
        score[2]


def test_rates_over_frames() -> None:
    frames = [truth([LARGE, OTHER])] * 2
    said = [instances([LARGE_SHIFTED]), instances([LARGE, OTHER, NOWHERE])]
    score = score_drive(said, frames)[CAR]
    assert score.recall == pytest.approx(3 / 4)
    assert score.precision == pytest.approx(3 / 4)
    assert score.mean_iou == pytest.approx((0.6 + 1 + 1) / 3)
    assert (score.objects, score.objects_found) == (2, 2)


def test_what_cannot_be_told_is_nan() -> None:
    score = score_drive([instances([])], [truth([])])[CAR]
    assert all(math.isnan(v) for v in (score.recall, score.precision, score.mean_iou))
    assert score.id_switches is None
    assert score.tracks_per_object is None


@pytest.mark.parametrize(
    ("tracks", "switches", "pairs"),
    [
        pytest.param([5, 5, 5], 0, 1, id="held"),
        pytest.param([5, 6, 6], 1, 2, id="switched"),
        pytest.param([5, 6, 5], 2, 2, id="switched and back"),
        pytest.param([5, 0, 5], 0, 1, id="no track in between"),
        pytest.param([0, 0, 0], 0, 0, id="never tracked"),
    ],
)
def test_ids(tracks: list[int], switches: int, pairs: int) -> None:
    frames = [truth([LARGE], ids=[40])] * 3
    said = [instances([LARGE])] * 3
    score = score_drive(said, frames, [np.array([t], np.int64) for t in tracks])[CAR]
    assert (score.id_switches, score.tracks) == (switches, pairs)
    assert score.tracks_per_object == pairs


def test_ids_are_kept_across_a_gap() -> None:
    said = [instances([LARGE]), instances([]), instances([LARGE])]
    tracks = [np.array([5]), np.array([], np.int64), np.array([6])]
    score = score_drive(said, [truth([LARGE])] * 3, tracks)[CAR]
    assert score.id_switches == 1
    assert score.recall == pytest.approx(2 / 3)


def test_unequal_input_is_refused() -> None:
    with pytest.raises(InputError, match="2 frames of predictions and 1 of truth"):
        score_drive([instances([])] * 2, [truth([])])
    with pytest.raises(InputError, match="a track id for each of 1"):
        score_drive([instances([LARGE])], [truth([])], [np.array([], np.int64)])
    boxes_only = Instances(SIZE, np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.full(1, CAR))
    with pytest.raises(InputError, match="boxes only"):
        score_drive([boxes_only], [truth([])])
    with pytest.raises(InputError, match="image"):
        score_drive([Instances.empty((50, 50))], [truth([])])
