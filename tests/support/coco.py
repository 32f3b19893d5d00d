"""A COCO ground truth of one image with two cars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from roadmask.evaluation import CocoTruth, Result

SIZE = (60, 100)


def square_rle(x: int, width: int) -> dict[str, Any]:
    """A mask 20 pixels high that begins at row 10."""
    dense = np.zeros(SIZE, np.uint8, order="F")
    dense[10:30, x : x + width] = 1
    return coco_mask.encode(dense)


def car_document(crowd_at: int | None = None) -> dict[str, Any]:
    """Cars at x = 0, as a polygon, and at x = 40, as run lengths; the first has the id 0."""
    squares: list[Any] = [[[0, 10, 20, 10, 20, 30, 0, 30]], *([square_rle(x, 20) for x in (40, crowd_at) if x])]
    for square in squares[1:]:
        square["counts"] = square["counts"].decode("ascii")
    annotations = [
        {"id": i, "image_id": 7, "category_id": 3, "segmentation": square, "area": 400, "iscrowd": int(i == 2)}
        for i, square in enumerate(squares)
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    images = [{"id": 7, "file_name": "street.png", "height": SIZE[0], "width": SIZE[1]}]
    return {"images": images, "annotations": annotations, "categories": categories}


def car_world(folder: Path, crowd_at: int | None = None) -> Path:
    """Writes `car_document`."""
    return write_json(folder / "truth.json", car_document(crowd_at))


def write_json(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def result_of(truth: CocoTruth, rle: dict[str, Any], score: float) -> Result:
    (image_id,) = truth.images
    return Result(image_id, 3, rle, score)
