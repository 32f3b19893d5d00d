"""Instances: what they refuse, and one index for every field."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Index, Instances
from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.engines.semantic import UNKNOWN, SemanticMap

SIZE = (60, 90)


def fields(count: int = 3) -> dict[str, Any]:
    corner = np.arange(count, dtype=np.float32)[:, None] * 10
    boxes = np.concatenate([corner, corner, corner + 8, corner + 8], axis=1).astype(np.float32)
    return {
        "image_size": SIZE,
        "boxes": boxes,
        "scores": np.linspace(0.9, 0.5, count, dtype=np.float32),
        "category_ids": np.arange(1, count + 1, dtype=np.int64),
        "masks": BoxMasks(np.ones((count, 28, 28), np.float32), boxes, SIZE),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": (0, 90)}, "at least 1 x 1"),
        ({"boxes": np.zeros((3, 5), np.float32)}, "boxes as float32"),  # shape
        ({"boxes": np.zeros((3, 4))}, "boxes as float32.*float64"),  # type
        ({"boxes": [[0, 0, 1, 1]] * 3}, "boxes as float32.*list"),  # no array
        ({"scores": np.zeros(2, np.float32)}, "scores as float32"),  # length
        ({"category_ids": np.zeros(3, np.int32)}, "category_ids as int64"),
        ({"boxes": np.full((3, 4), np.nan, np.float32)}, "finite"),
        ({"boxes": np.full((3, 4), np.inf, np.float32)}, "finite"),
        ({"scores": np.array([0.5, np.nan, 0.5], np.float32)}, "finite"),
        ({"boxes": np.tile(np.array([5, 5, 4, 9], np.float32), (3, 1))}, "x1 <= x2"),  # inside out
        ({"boxes": np.tile(np.array([5, 5, 9, 4], np.float32), (3, 1))}, "x1 <= x2"),
        ({"since_detected_ns": np.zeros(2, np.int64)}, "since_detected_ns as int64"),
        ({"since_detected_ns": np.array([0, -1, 2])}, "at least 0, got -1"),
        ({"masks": RleMasks((), SIZE)}, "one mask for each of 3"),
        ({"masks": RleMasks.from_dense(np.ones((3, 90, 60)), (90, 60))}, r"\(90, 60\)"),  # of another image
    ],
)
def test_wrong_fields_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InstancesError, match=message):
        Instances(**{**fields(), **wrong})


def test_boxes_without_area_and_beyond_the_image_are_allowed() -> None:
    boxes = np.array([[5, 5, 5, 5], [-20, 0, 200, 70], [500, 500, 600, 600]], np.float32)
    assert len(Instances(**{**fields(), "boxes": boxes, "masks": None})) == 3


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (slice(1, None), [1, 2]),
        (np.array([True, False, True]), [0, 2]),
        ([True, False, True], [0, 2]),  # a list of bools is a mask, not the positions 1, 0, 1
        (np.array([2, 0, 2]), [2, 0, 2]),
        ([2], [2]),
        ([], []),
        (np.array([], np.int32), []),
        (np.array([-1]), [2]),
    ],
)
@pytest.mark.parametrize("masks", ["box", "rle", "none"])
def test_one_index_applies_to_every_field(index: Index, kept: list[int], masks: str) -> None:
    given = fields()
    boxes = given["masks"]
    given["masks"] = {"box": boxes, "rle": boxes.to_rle(), "none": None}[masks]
    instances = Instances(**given)
    chosen = instances[index]
    assert len(chosen) == len(kept)
    assert np.array_equal(chosen.boxes, instances.boxes[kept])
    assert np.array_equal(chosen.scores, instances.scores[kept])
    assert chosen.category_ids.tolist() == [n + 1 for n in kept]
    if chosen.masks is None:
        assert masks == "none"
    else:
        assert chosen.masks.to_rle().counts == tuple(boxes.to_rle().counts[n] for n in kept)


@pytest.mark.parametrize("index", [0, np.int64(1), [0.5], np.zeros((1, 2), int)], ids=str)
def test_other_indices_are_refused(index: Any) -> None:
    with pytest.raises(InstancesError, match="list of one position"):
        Instances(**fields())[index]


def test_no_instances() -> None:
    none = Instances.empty(SIZE)
    assert len(none) == 0
    assert none.masks is not None
    assert none.masks.iou(none.masks).shape == (0, 0)
    assert len(none[np.zeros(0, np.bool_)]) == 0
    assert repr(none) == "Instances(0 in 90 x 60, masks=RleMasks)"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (np.zeros((6, 9), np.int64), "uint8"),
        (np.zeros((1, 6, 9), np.uint8), "uint8"),
        (np.zeros((0, 9), np.uint8), "at least one cell"),
        ([[149]], "got list"),
        (np.zeros((61, 90), np.uint8), "at most 60 x 90 cells"),
    ],
)
def test_what_is_no_semantic_map_is_refused(cells: Any, message: str) -> None:
    with pytest.raises(InstancesError, match=message):
        SemanticMap(cells, SIZE)


def test_a_semantic_map_belongs_to_the_image_and_not_to_one_instance() -> None:
    semantic = SemanticMap(np.full((6, 9), UNKNOWN, np.uint8), SIZE)
    instances = Instances(**fields(), semantic=semantic)
    assert instances[:1].semantic is instances[[]].semantic is semantic
    assert repr(instances) == "Instances(3 in 90 x 60, masks=BoxMasks, with a semantic map)"
    assert repr(semantic) == "SemanticMap(9 x 6 cells over 90 x 60)"


def test_readers_of_other_libraries_need_none_of_them() -> None:
    program = """
import sys
for name in ("supervision", "torch", "torchvision", "ultralytics"):
    sys.modules[name] = None  # importing it fails as if it were not installed
import importlib
import roadmask
for library in ("coco", "supervision", "torchvision", "ultralytics"):
    importlib.import_module(f"roadmask.engines.interop.{library}")
assert len(roadmask.Instances.from_coco([], (4, 6))) == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd="/")
