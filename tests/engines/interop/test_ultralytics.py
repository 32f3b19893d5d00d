"""Results of ultralytics' models, whose masks lie in the network's input."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from roadmask import CLASS_NAMES, Instances
from roadmask.engines.errors import InstancesError
from roadmask.engines.interop.ultralytics import mask_in_image
from support.made_masks import dense

SIZE = (270, 480)
NAMES = {0: "person", 1: "bicycle", 2: "car"}


@pytest.fixture(scope="module", autouse=True)
def ultralytics(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The package; its settings, which it writes when it is imported, go to a folder of the tests."""
    os.environ["YOLO_CONFIG_DIR"] = str(tmp_path_factory.mktemp("ultralytics"))
    return pytest.importorskip("ultralytics", reason="needs ultralytics: make bench-setup")


def disks(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A disk with a hole, and two separate disks in one mask."""
    y, x = np.mgrid[: size[0], : size[1]]

    def disk(cy: float, cx: float, radius: float) -> np.ndarray:
        return (y - cy * size[0]) ** 2 + (x - cx * size[1]) ** 2 < (radius * min(size)) ** 2

    ring = disk(0.4, 0.3, 0.3) & ~disk(0.4, 0.3, 0.1)
    return np.stack([ring, disk(0.2, 0.6, 0.1) | disk(0.8, 0.9, 0.15)])


def in_network(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The masks as ultralytics' own letterbox puts them into the network's input."""
    from ultralytics.data.augment import LetterBox

    box = LetterBox(shape, padding_value=0)
    return np.stack([box(image=np.repeat(m[..., None], 3, 2).astype(np.uint8) * 255)[..., 0] > 127 for m in images])


def result(masks: Any, rows: Any = ((90, 40, 200, 190, 0.9, 0), (240, 20, 460, 260, 0.6, 2)), **more: Any) -> Any:
    from ultralytics.engine.results import Results

    boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    image = np.zeros((*SIZE, 3), np.uint8)
    return Results(image, "a.jpg", more.pop("names", NAMES), boxes=boxes, masks=masks, **more)


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one & other).sum((1, 2)) / (one | other).sum((1, 2))


@pytest.mark.parametrize("shape", [(640, 640), (384, 640), (640, 384), (160, 160)])
def test_masks_come_back_to_the_image_with_holes_and_parts(shape: tuple[int, int]) -> None:
    from ultralytics.utils import ops

    grids = torch.from_numpy(in_network(disks(), shape).astype(np.uint8))
    found = Instances.from_ultralytics(result(grids))
    assert found.image_size == SIZE
    assert found.masks is not None
    masks = dense(found.masks)
    assert iou(masks, disks()).min() > (0.97 if min(shape) > 200 else 0.9)
    theirs = ops.scale_masks(grids[None].float(), SIZE)[0].numpy() >= 0.5
    assert (masks != theirs).mean() < 1e-4  # they interpolate in another order of additions


def test_masks_of_the_image_itself_stay_as_they_are() -> None:
    found = Instances.from_ultralytics(result(torch.from_numpy(disks())))
    assert found.masks is not None
    assert np.array_equal(dense(found.masks), disks())


@pytest.mark.parametrize("size", [(7, 501), (501, 7), (1, 1), (333, 500)])
def test_images_of_any_shape(size: tuple[int, int]) -> None:
    full = mask_in_image(np.ones((320, 320), np.uint8), size)
    assert full.shape == size
    assert full.all()


def test_boxes_scores_and_classes() -> None:
    found = Instances.from_ultralytics(result(torch.from_numpy(disks())))
    assert found.boxes.tolist() == [[90, 40, 200, 190], [240, 20, 460, 260]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert found.category_ids.tolist() == [1, 3]


def test_results_on_the_cpu_as_numpy_and_with_track_ids_are_read_too() -> None:
    rows = ((90, 40, 200, 190, 7, 0.9, 0), (240, 20, 460, 260, 8, 0.6, 2))  # x1, y1, x2, y2, track, score, class
    from ultralytics.engine.results import Results

    image = np.zeros((*SIZE, 3), np.uint8)
    tracked = Results(image, "a.jpg", NAMES, boxes=torch.tensor(rows), masks=torch.from_numpy(disks())).numpy()
    found = Instances.from_ultralytics(tracked)
    assert found.category_ids.tolist() == [1, 3]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])


def test_its_80_classes_become_coco_category_ids_by_name(ultralytics: Any) -> None:
    from ultralytics.utils import YAML

    names = YAML.load(Path(ultralytics.__file__).parent / "cfg" / "datasets" / "coco.yaml")["names"]
    rows = [(0, 0, 9, 9, 0.5, number) for number in names]
    found = Instances.from_ultralytics(result(None, rows, names=names))
    assert found.category_ids.tolist() == list(CLASS_NAMES)  # both list COCO's 80 classes in COCO's order
    assert found.masks is None


def test_other_classes_are_named_by_the_caller_refused_or_left_out() -> None:
    given = result(torch.from_numpy(disks()), names={0: "forklift", 2: "car"})
    with pytest.raises(InstancesError, match="got 'forklift'"):
        Instances.from_ultralytics(given)
    assert Instances.from_ultralytics(given, class_names={0: "truck", 2: "car"}).category_ids.tolist() == [8, 3]
    kept = Instances.from_ultralytics(given, unknown="drop")
    assert kept.category_ids.tolist() == [3]
    assert kept.masks is not None
    assert np.array_equal(dense(kept.masks), disks()[1:])


def test_nothing_found_gives_no_instances() -> None:
    found = Instances.from_ultralytics(result(None, ()))
    assert (len(found), found.image_size) == (0, SIZE)
    assert found.masks is not None


def test_a_result_without_boxes_is_refused() -> None:
    from ultralytics.engine.results import Results

    image = np.zeros((*SIZE, 3), np.uint8)
    with pytest.raises(InstancesError, match="with boxes, got one without"):
        Instances.from_ultralytics(Results(image, "a.jpg", NAMES, probs=torch.tensor([1.0, 0, 0])))
