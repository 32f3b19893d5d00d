"""Outputs of torchvision's detection models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import detection

from roadmask import CLASS_NAMES, Instances
from roadmask.engines.errors import InstancesError
from support.made_masks import SIZE, dense

HEIGHT, WIDTH = SIZE


def output(**changed: Any) -> dict[str, Any]:
    probabilities = torch.rand(2, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(7))
    return {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [5, 5, 30, 20]]),
        "labels": torch.tensor([1, 3]),
        "scores": torch.tensor([0.9, 0.5]),
        "masks": probabilities,
        **changed,
    }


def test_every_field_is_read() -> None:
    given = output()
    found = Instances.from_torchvision(given)
    assert found.image_size == SIZE
    assert found.boxes.tolist() == given["boxes"].tolist()
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.category_ids.tolist() == [1, 3]
    assert found.masks is not None
    assert np.array_equal(dense(found.masks), given["masks"][:, 0].numpy() >= 0.5)


@pytest.mark.parametrize(
    "masks",
    [
        torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool),
        torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.uint8),
        torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.bfloat16),
        torch.ones(2, 1, HEIGHT, WIDTH, requires_grad=True),
        np.ones((2, 1, HEIGHT, WIDTH), np.float16),
    ],
    ids=["bool", "uint8", "bfloat16", "with gradients", "numpy"],
)
def test_masks_of_any_type(masks: Any) -> None:
    found = Instances.from_torchvision(output(masks=masks))
    assert found.masks is not None
    assert found.masks.area.tolist() == [HEIGHT * WIDTH] * 2


def test_a_real_model() -> None:
    torch.manual_seed(7)
    model = detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=64, max_size=128, box_score_thresh=0.0, box_detections_per_img=5
    )
    with torch.inference_mode():
        [given] = model.eval()([torch.rand(3, HEIGHT, WIDTH)])
    assert len(given["boxes"])
    found = Instances.from_torchvision(given, unknown="drop")
    known = np.isin(given["labels"].numpy(), list(CLASS_NAMES))
    assert found.category_ids.tolist() == given["labels"].numpy()[known].tolist()
    assert found.masks is not None
    assert np.array_equal(dense(found.masks), given["masks"].numpy()[known, 0] >= 0.5)


def test_labels_of_its_weights_are_coco_category_ids() -> None:
    names = detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    for category_id, name in CLASS_NAMES.items():
        assert names[category_id] == {"pedestrian": "person"}.get(name, name)


def test_own_classes_are_mapped_by_name() -> None:
    found = Instances.from_torchvision(output(), class_names={1: "car", 3: "Person"})
    assert found.category_ids.tolist() == [3, 1]


def test_boxes_alone_need_the_size_of_the_image() -> None:
    boxes = {name: values for name, values in output().items() if name != "masks"}
    assert Instances.from_torchvision(boxes, SIZE).masks is None
    with pytest.raises(InstancesError, match="image_size"):
        Instances.from_torchvision(boxes)


def test_nothing_gives_no_instances() -> None:
    empty = output(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        scores=torch.zeros(0),
        masks=torch.zeros(0, 1, HEIGHT, WIDTH),
    )
    found = Instances.from_torchvision(empty)
    assert (len(found), found.image_size) == (0, SIZE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            output(masks=torch.full((2, 1, HEIGHT, WIDTH), -3.0)),
            r"0 to 1, got values from -3 to -3: apply.*sigmoid",
        ),
        (output(masks=torch.full((2, 1, HEIGHT, WIDTH), 255, dtype=torch.uint8)), "divide masks"),
        (output(masks=torch.zeros(1, 1, HEIGHT, WIDTH)), r"expected masks as \(2, 1, H, W\)"),
        (output(labels=torch.tensor([1])), r"expected labels as \(2,\)"),
        (output(labels=torch.tensor([1, 12])), "COCO category ids, got 12"),
        (output(boxes=torch.zeros(2, 5)), r"expected boxes as \(N, 4\)"),
        ({"losses": 1}, "one element of the list"),
    ],
)
def test_what_cannot_be_read_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InstancesError, match=message):
        Instances.from_torchvision(given)
