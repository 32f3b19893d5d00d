"""Detections of supervision: in, out, and round."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import supervision as sv

from roadmask import BoxMasks, Instances, RleMasks
from roadmask.engines.errors import EngineError, InstancesError
from support.made_masks import BOXES, SIZE, blobs, dense, random_images

NAMES = np.array(["person", "car", "bus"])


def detections(**changed: Any) -> sv.Detections:
    return sv.Detections(
        **{
            "xyxy": np.array([[0, 0, 10, 10], [5, 5, 30, 20], [20, 3, 80, 59]], float),
            "mask": random_images(3, SIZE),
            "confidence": np.array([0.5, 0.75, 0.25]),
            "class_id": np.array([0, 2, 5]),
            "data": {"class_name": NAMES},
            **changed,
        }
    )


def test_every_field_is_read_in_the_order_given() -> None:
    given = detections()
    found = Instances.from_supervision(given)
    assert found.image_size == SIZE
    assert found.boxes.tolist() == given.xyxy.tolist()
    assert found.scores.tolist() == [0.5, 0.75, 0.25]
    assert found.category_ids.tolist() == [1, 3, 6]
    assert isinstance(found.masks, RleMasks)
    assert np.array_equal(dense(found.masks), given.mask)


def test_compact_masks_are_read_as_dense_ones() -> None:
    images = np.zeros((3, *SIZE), bool)
    images[0, :10, :10], images[1, 6:19, 8:30], images[2, 3:59, 20:50] = True, True, True
    given = detections(mask=images)
    compact = given.to_compact_masks()
    assert isinstance(compact.mask, sv.CompactMask)
    found = Instances.from_supervision(compact)
    assert found.masks is not None
    assert np.array_equal(dense(found.masks), images)


def test_boxes_alone_need_the_size_of_the_image() -> None:
    boxes = detections(mask=None, confidence=None)
    found = Instances.from_supervision(boxes, SIZE)
    assert found.masks is None
    assert found.scores.tolist() == [1, 1, 1]
    with pytest.raises(InstancesError, match="image_size"):
        Instances.from_supervision(boxes)
    with pytest.raises(InstancesError, match="masks of the image's size"):
        Instances.from_supervision(detections(), (90, 60))


def test_class_numbers_are_named_by_the_caller() -> None:
    numbered = detections(data={})
    named = Instances.from_supervision(numbered, class_names={0: "pedestrian", 2: "car", 5: "bus"})
    assert named.category_ids.tolist() == [1, 3, 6]
    # what the caller says wins over what the detections say
    other = Instances.from_supervision(detections(), class_names={0: "car", 2: "truck", 5: "bus"})
    assert other.category_ids.tolist() == [3, 8, 6]
    with pytest.raises(InstancesError, match="got class_id alone"):
        Instances.from_supervision(numbered)
    with pytest.raises(InstancesError, match="got no class_id"):
        Instances.from_supervision(detections(data={}, class_id=None))


def test_unknown_classes_are_refused_or_left_out() -> None:
    lamps = detections(data={"class_name": np.array(["person", "street lamp", "bus"])})
    with pytest.raises(InstancesError, match=r"got 'street lamp'.*unknown='drop'"):
        Instances.from_supervision(lamps)
    kept = Instances.from_supervision(lamps, unknown="drop")
    assert kept.category_ids.tolist() == [1, 6]
    assert kept.masks is not None
    assert np.array_equal(dense(kept.masks), np.asarray(lamps.mask)[[0, 2]])


def test_nothing_gives_no_instances() -> None:
    assert len(Instances.from_supervision(sv.Detections.empty(), SIZE)) == 0


@pytest.mark.parametrize("kind", ["box", "rle", "none", "empty"])
def test_there_and_back(kind: str) -> None:
    boxes = np.array(list(BOXES.values())[:3], np.float32)
    masks = {
        "box": BoxMasks(blobs(3), boxes, SIZE),
        "rle": RleMasks.from_dense(random_images(3, SIZE), SIZE),
        "none": None,
        "empty": None,
    }[kind]
    instances = Instances(SIZE, boxes, np.array([0.9, 0.5, 0.1], np.float32), np.array([1, 3, 8]), masks)
    if kind == "empty":
        instances = Instances.empty(SIZE)
    detected = instances.to_supervision(np.arange(len(instances)))
    assert isinstance(detected, sv.Detections)
    assert detected.tracker_id is not None
    assert detected.tracker_id.tolist() == list(range(len(instances)))
    back = Instances.from_supervision(detected, SIZE)
    assert back.boxes.tobytes() == instances.boxes.tobytes()
    assert back.scores.tobytes() == instances.scores.tobytes()
    assert back.category_ids.tolist() == instances.category_ids.tolist()
    if instances.masks is None:
        assert back.masks is None
    else:
        assert back.masks is not None
        assert back.masks.to_rle().counts == instances.masks.to_rle().counts


def test_annotators_draw_what_comes_out() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    detected = Instances.from_supervision(detections()).to_supervision(np.array([1, 2, 3]))
    assert sv.MaskAnnotator(color_lookup=sv.ColorLookup.TRACK).annotate(image.copy(), detected).any()
    assert list(detected.data["class_name"]) == ["pedestrian", "car", "bus"]


def test_track_ids_must_match() -> None:
    with pytest.raises(InstancesError, match=r"track_ids as \(3,\)"):
        Instances.from_supervision(detections()).to_supervision(np.array([1]))


def test_without_supervision_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(EngineError, match="pip install supervision"):
        Instances.empty(SIZE).to_supervision()
