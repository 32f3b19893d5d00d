"""COCO annotations in every form that pycocotools knows, judged by pycocotools."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from roadmask import Instances
from roadmask.engines.errors import InstancesError
from support.made_masks import SIZE, dense, random_images

HEIGHT, WIDTH = SIZE
SQUARE = [10, 5, 30, 5, 30, 25, 10, 25]
ISLAND = [50, 5, 60, 5, 60, 15, 50, 15]


def compressed(image: np.ndarray) -> dict[str, Any]:
    return coco_mask.encode(np.asfortranarray(image.astype(np.uint8)))


def uncompressed(image: np.ndarray) -> dict[str, Any]:
    flat = image.T.ravel()
    borders = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *borders, flat.size]).tolist()
    return {"size": list(SIZE), "counts": ([0] if flat[0] else []) + lengths}


def annotation(segmentation: Any, category_id: int = 3, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": category_id, "segmentation": segmentation, "iscrowd": 0, **more}


IMAGE = random_images(3, SIZE)[1]
AS_TEXT = compressed(IMAGE) | {"counts": compressed(IMAGE)["counts"].decode()}


@pytest.mark.parametrize(
    "segmentation",
    [[SQUARE], [SQUARE, ISLAND], [np.array(SQUARE, float)], compressed(IMAGE), AS_TEXT, uncompressed(IMAGE)],
    ids=["polygon", "two polygons", "array", "compressed bytes", "compressed text", "uncompressed"],
)
def test_masks_are_those_of_pycocotools(segmentation: Any) -> None:
    row = annotation(segmentation, bbox=[1, 2, 3, 4])
    coco = COCO()
    coco.dataset = {"images": [{"id": 1, "height": HEIGHT, "width": WIDTH}], "annotations": [row]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    rings = [np.asarray(ring).tolist() for ring in segmentation] if isinstance(segmentation, list) else segmentation
    expected = coco.annToMask(row | {"segmentation": rings})
    found = Instances.from_coco(coco.loadAnns([1]), SIZE)
    assert found.masks is not None
    assert np.array_equal(dense(found.masks)[0], expected)
    assert found.boxes.tolist() == [[1, 2, 4, 6]]
    assert found.scores.tolist() == [1]
    assert found.category_ids.tolist() == [3]


def test_a_real_ground_truth(data_dir: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data_dir / "coco_dev" / "instances.json"))
    for image_id in truth.getImgIds()[:20]:
        rows = [row for row in truth.loadAnns(truth.getAnnIds([image_id])) if not row["iscrowd"]]
        image = truth.loadImgs([image_id])[0]
        size = (image["height"], image["width"])
        names = {category["id"]: category["name"] for category in truth.loadCats(truth.getCatIds())}
        found = Instances.from_coco(truth.loadAnns(truth.getAnnIds([image_id])), size, class_names=names)
        assert len(found) == len(rows)
        assert found.category_ids.tolist() == [row["category_id"] for row in rows]
        if rows:
            assert found.masks is not None
            assert np.array_equal(dense(found.masks), np.stack([truth.annToMask(row) for row in rows]))


def test_a_box_is_taken_from_the_mask_where_there_is_none() -> None:
    found = Instances.from_coco([annotation([SQUARE], score=0.25)], SIZE)
    assert found.boxes.tolist() == [[10, 5, 30, 25]]
    assert found.scores.tolist() == [0.25]


@pytest.mark.parametrize("segmentation", [None, []])
def test_boxes_alone_give_instances_without_masks(segmentation: Any) -> None:
    found = Instances.from_coco([annotation(segmentation, bbox=[1, 2, 3, 4])], SIZE)
    assert found.masks is None
    assert len(found) == 1


def test_nothing_gives_no_instances() -> None:
    assert len(Instances.from_coco([], SIZE)) == 0


def test_crowds_are_left_out() -> None:
    rows = [annotation(uncompressed(IMAGE), iscrowd=1), annotation([SQUARE])]
    assert len(Instances.from_coco(rows, SIZE)) == 1


def test_categories_of_another_file_are_mapped_by_name() -> None:
    rows = [annotation([SQUARE], 0), annotation([ISLAND], 1), annotation([SQUARE], 2)]
    names = {0: "Person", 1: "car", 2: "lamp post"}
    found = Instances.from_coco(rows, SIZE, class_names=names, unknown="drop")
    assert found.category_ids.tolist() == [1, 3]
    assert found.masks is not None
    assert found.masks.area.tolist() == [400, 100]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([annotation([SQUARE]), annotation(None, bbox=[0, 0, 1, 1])], {}, "every annotation or in none, got 1 of 2"),
        ([annotation(None)], {}, "annotation 0: expected a segmentation or a bbox"),
        ([annotation(None, bbox=[0, 0, 1])], {}, "bbox of four numbers"),
        ([annotation([SQUARE[:4]])], {}, "annotation 0: expected polygons of at least three"),
        ([annotation([[0, 0, 1, 1, float("nan"), 0]])], {}, "finite corners"),
        ([annotation({"size": [90, 60], "counts": "0"})], {}, "expected a mask of 90 x 60 pixels"),
        ([annotation({"size": list(SIZE), "counts": [1, 2]})], {}, "add up to the image"),
        ([annotation({"size": list(SIZE), "counts": "~~"})], {}, "annotation 0"),
        ([annotation({"size": list(SIZE)})], {}, "annotation 0: 'counts'"),
        ([annotation("polygon")], {}, "expected polygons or run lengths, got str"),
        ([annotation([SQUARE]), annotation([SQUARE]) | {"image_id": 2}], {}, "images 1 and 2"),
        ([{"segmentation": [SQUARE]}], {}, "annotation 0: expected the field 'category_id'"),
        ([annotation([SQUARE], 12)], {}, "COCO category ids, got 12.*unknown='drop'"),
        ([annotation([SQUARE], 7)], {"class_names": {1: "car"}}, "name the class number 7"),
        ([annotation([SQUARE], 1)], {"class_names": {1: "motorcycles"}}, "class_names={1: 'motorcycle'}"),
        ([annotation([SQUARE])], {"unknown": "ignore"}, "'error' or 'drop', got 'ignore'"),
    ],
)
def test_what_cannot_be_read_is_refused(rows: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InstancesError, match=message):
        Instances.from_coco(rows, SIZE, **options)
