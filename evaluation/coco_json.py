"""COCO's JSON files of instances: ground truth and results, checked while they are read.

pycocotools trusts its files: it crashes on malformed ones, reads past the end of malformed run lengths, and takes an
annotation whose id is 0 for none. So everything is checked here first, and only checked masks go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pycocotools import mask as coco_mask

from roadmask.engines.classes import CLASS_NAMES, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.files import write_atomically
from roadmask.engines.interop.coco import rle_of_segmentation

_T = TypeVar("_T")
Rle = dict[str, Any]
"""Run lengths: `size` is height and width, `counts` are compressed bytes."""


@dataclass(frozen=True)
class TruthImage:
    """An image of a ground truth."""

    id: int
    file_name: str
    """Path of the image, relative to the folder of images."""
    size: tuple[int, int]
    """Height and width in pixels."""


@dataclass(frozen=True)
class TruthMask:
    """An object in an image."""

    image_id: int
    category_id: int
    """Category id of the file."""
    rle: Rle
    area: float
    """Area in square pixels as the file states it, by which COCO tells small objects from large ones."""
    crowd: bool
    """Whether it is a group of objects without masks of their own; detections on it are neither right nor wrong."""


@dataclass(frozen=True)
class CocoTruth:
    """A ground truth."""

    path: Path
    images: dict[int, TruthImage]
    """Images by id, in the order of the file."""
    class_names: dict[int, str]
    """Category id of the file -> class name; COCO's person is called pedestrian."""
    masks: tuple[TruthMask, ...]

    @property
    def annotated_classes(self) -> tuple[str, ...]:
        """Names of the classes that have masks other than crowds, in the order of their ids."""
        seen = {mask.category_id for mask in self.masks if not mask.crowd}
        return tuple(self.class_names[category] for category in sorted(seen))


@dataclass(frozen=True)
class Result:
    """One instance that was found."""

    image_id: int
    category_id: int
    """Category id of the ground truth's file."""
    rle: Rle
    score: float


def read_truth(path: Path) -> CocoTruth:
    """Reads a COCO ground truth of instance masks: polygons, or run lengths of either kind.

    Raises:
        InputError: the file is missing, no JSON, or not of COCO's form; the message names the first annotation that
            is wrong. Also if it holds no masks at all.
    """
    document = _read_json(path)
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in _PARTS):
        raise InputError(
            f"expected {path} to be a COCO ground truth, an object with the lists {', '.join(_PARTS)}; got "
            f"{_describe(document)}."
        )
    images = {image.id: image for image in _each(path, "image", document["images"], _truth_image)}
    names = dict(_each(path, "category", document["categories"], _category))

    def truth_mask(annotation: Mapping[str, Any]) -> TruthMask:
        image_id, category = int(annotation["image_id"]), int(annotation["category_id"])
        if category not in names:
            raise ValueError(f"category_id {category} is not among the categories")
        rle = _rle(annotation["segmentation"], _image(images, image_id).size)
        area = annotation.get("area")
        return TruthMask(
            image_id,
            category,
            rle,
            float(coco_mask.area(rle) if area is None else area),
            bool(annotation.get("iscrowd", 0)),
        )

    masks = tuple(_each(path, "annotation", document["annotations"], truth_mask))
    if all(mask.crowd for mask in masks):
        raise InputError(f"expected {path} to hold masks to be found, got {len(masks)} annotations, none but crowds.")
    return CocoTruth(path, images, names, masks)


def read_results(path: Path, truth: CocoTruth) -> list[Result]:
    """Reads COCO results: a list of image_id, category_id, segmentation (run lengths) and score.

    Raises:
        InputError: the file is missing, no JSON, not of COCO's form, or about images or categories that the ground
            truth does not have.
    """
    document = _read_json(path)
    if not isinstance(document, list):
        raise InputError(f"expected {path} to be COCO results, a list of detections; got {_describe(document)}.")

    def result(detection: Mapping[str, Any]) -> Result:
        image_id, category = int(detection["image_id"]), int(detection["category_id"])
        if category not in truth.class_names:
            raise ValueError(f"category_id {category} is not among the categories of {truth.path}")
        score = float(detection["score"])
        if not -1e6 < score < 1e6:
            raise ValueError(f"expected a finite score, got {score}")
        return Result(image_id, category, _rle(detection["segmentation"], _image(truth.images, image_id).size), score)

    return list(_each(path, "detection", document, result))


def write_coco_results(path: Path, results: Sequence[Result]) -> None:
    """Writes COCO results, which any COCO tool reads.

    Raises:
        InputError: the file cannot be written.
    """
    rows = [
        {
            "image_id": result.image_id,
            "category_id": result.category_id,
            "segmentation": {**result.rle, "counts": result.rle["counts"].decode("ascii")},
            "score": result.score,
        }
        for result in results
    ]
    try:
        write_atomically(path, json.dumps(rows))
    except OSError as error:
        raise InputError(f"cannot write the results to {path}: {error.strerror}.") from error


_PARTS = ("images", "annotations", "categories")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected {path} to be JSON in COCO's form, got something else ({error}).") from error


def _each(path: Path, kind: str, rows: Iterable[Any], read: Callable[[Mapping[str, Any]], _T]) -> Iterator[_T]:
    for position, row in enumerate(rows):
        try:
            yield read(row)
        except KeyError as error:
            raise InputError(f"{path}: {kind} {position} has no {error}: see COCO's data format.") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = str(error).rstrip(".")
            raise InputError(f"{path}: {kind} {position} is not in COCO's form: {reason}.") from error


def _truth_image(row: Mapping[str, Any]) -> TruthImage:
    size = int(row["height"]), int(row["width"])
    if min(size) < 1:
        raise ValueError(f"expected a height and width of at least 1, got {size}")
    return TruthImage(int(row["id"]), str(row["file_name"]), size)


def _category(row: Mapping[str, Any]) -> tuple[int, str]:
    name = str(row["name"])
    return int(row["id"]), CLASS_NAMES[PEDESTRIAN] if name == "person" else name


def _image(images: Mapping[int, TruthImage], image_id: int) -> TruthImage:
    if image_id not in images:
        raise ValueError(f"image_id {image_id} is not among the images of the ground truth")
    return images[image_id]


def _rle(segmentation: Any, size: tuple[int, int]) -> Rle:
    return {"size": list(size), "counts": rle_of_segmentation(segmentation, size)}


def _describe(document: Any) -> str:
    if isinstance(document, dict):
        return f"an object with {', '.join(map(str, list(document)[:5])) or 'nothing'}"
    return f"a {type(document).__name__}"
