"""COCO: annotations and results of one image, as its JSON files and pycocotools have them.

The format: https://cocodataset.org/#format-data and https://cocodataset.org/#format-results
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Instances
from roadmask.engines.interop.arrays import as_array
from roadmask.engines.interop.categories import Unknown, ids_of_numbers
from roadmask.engines.masks import RleMasks


def from_coco(
    annotations: Sequence[Mapping[str, Any]],
    image_size: tuple[int, int],
    *,
    class_names: Mapping[int, str] | None,
    unknown: Unknown,
) -> Instances:
    """Reads the annotations or results of one image; see `Instances.from_coco`."""
    image_size = (int(image_size[0]), int(image_size[1]))
    given = [annotation for annotation in annotations if not annotation.get("iscrowd", 0)]
    images = list(dict.fromkeys(annotation["image_id"] for annotation in given if "image_id" in annotation))
    if len(images) > 1:
        raise InstancesError(
            f"expected the annotations of one image, got those of the images {images[0]} and {images[1]}: select the "
            "annotations of one image_id first."
        )
    numbers = np.array([_field(row, position, "category_id") for position, row in enumerate(given)], np.int64)
    ids, known = ids_of_numbers(numbers, class_names, unknown)
    given = [annotation for annotation, kept in zip(given, known, strict=True) if kept]
    masks = _masks(given, image_size)
    boxes = np.zeros((len(given), 4), np.float64)
    for position, annotation in enumerate(given):
        box = annotation.get("bbox")
        if box is None and masks is not None:
            box = coco_mask.toBbox(masks.coco[position])
        if box is None or len(box) != 4:
            raise InstancesError(
                f"annotation {position}: expected a segmentation or a bbox of four numbers, got {box!r}."
            )
        boxes[position] = as_array(box)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([annotation.get("score", 1.0) for annotation in given], np.float32)
    return Instances(image_size, boxes.astype(np.float32), scores, ids[known], masks)


def rle_of_segmentation(segmentation: Any, image_size: tuple[int, int]) -> bytes:
    """Returns the compressed run lengths of a segmentation in any form that COCO knows.

    Args:
        segmentation: polygons, each a list x, y, x, y, ... in pixels; or an object with `size` and `counts`, which are
            compressed run lengths (text or bytes) or a list of lengths.
        image_size: height and width of the image.

    Raises:
        InstancesError: it has none of these forms, is malformed, or belongs to an image of another size.
    """
    height, width = image_size
    if isinstance(segmentation, Mapping):
        counts = _counts(segmentation, image_size)
    elif isinstance(segmentation, Sequence) and not isinstance(segmentation, str | bytes):
        rings = [np.asarray(ring, np.float64).ravel().tolist() for ring in segmentation]
        if not rings or any(len(ring) < 6 or len(ring) % 2 for ring in rings):
            raise InstancesError("expected polygons of at least three x, y pairs")
        if not all(-1e6 < value < 1e6 for ring in rings for value in ring):
            raise InstancesError("expected polygons with finite corners")
        counts = coco_mask.merge(coco_mask.frPyObjects(rings, height, width))["counts"]
    else:
        raise InstancesError(f"expected polygons or run lengths, got {type(segmentation).__name__}")
    return RleMasks.from_coco([counts], image_size).counts[0]


def _counts(segmentation: Mapping[str, Any], image_size: tuple[int, int]) -> bytes | str:
    height, width = image_size
    if list(segmentation["size"]) != [height, width]:
        raise InstancesError(f"expected a mask of {width} x {height} pixels, as its image, got {segmentation['size']}")
    counts: bytes | str | list[int] = segmentation["counts"]
    if not isinstance(counts, list):
        return counts
    if any(not isinstance(count, int) or count < 0 for count in counts) or sum(counts) != height * width:
        raise InstancesError("expected run lengths that add up to the image")
    compressed: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return compressed


def _masks(annotations: Sequence[Mapping[str, Any]], image_size: tuple[int, int]) -> RleMasks | None:
    with_mask = [position for position, annotation in enumerate(annotations) if annotation.get("segmentation")]
    if not with_mask and annotations:
        return None
    if len(with_mask) != len(annotations):
        raise InstancesError(
            f"expected a segmentation in every annotation or in none, got {len(with_mask)} of {len(annotations)}."
        )
    counts = []
    for position, annotation in enumerate(annotations):
        try:
            counts.append(rle_of_segmentation(annotation["segmentation"], image_size))
        except (KeyError, TypeError, ValueError) as error:
            raise InstancesError(f"annotation {position}: {str(error).rstrip('.')}.") from error
    return RleMasks(tuple(counts), image_size)


def _field(annotation: Mapping[str, Any], position: int, name: str) -> Any:
    if name not in annotation:
        raise InstancesError(f"annotation {position}: expected the field {name!r}, got {', '.join(annotation)}.")
    return annotation[name]
