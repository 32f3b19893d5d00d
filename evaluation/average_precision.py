"""Mask AP as COCO defines it (Lin et al., Microsoft COCO, 2014), computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from roadmask.engines.errors import InputError
from roadmask.evaluation.coco_json import CocoTruth, Result

ALL_CLASSES = "all"
"""Name of the row of the mean over classes, by which COCO ranks."""


@dataclass(frozen=True)
class ClassPrecision:
    """Accuracy of the masks of one class: each figure is 0 to 1, or None if the ground truth has nothing to find."""

    name: str
    """Name of the class; `all` for the mean over classes."""
    truth: int
    """Number of masks in the ground truth, without crowds."""
    found: int
    """Number of masks that were reported."""
    ap: float | None
    """Mean of the precision at 101 recalls and the mask IoUs 0.50, 0.55 .. 0.95."""
    ap50: float | None
    """AP at the mask IoU 0.50."""
    ap75: float | None
    """AP at the mask IoU 0.75."""
    ap_small: float | None
    """AP of objects with an area under 32 x 32 pixels of the original image."""
    ap_medium: float | None
    """AP of objects with an area from 32 x 32 to 96 x 96 pixels."""
    ap_large: float | None
    """AP of objects with an area over 96 x 96 pixels."""
    ar1: float | None
    """Mean recall over the same IoUs with the best instance in each image."""
    ar10: float | None
    """Mean recall with the best 10 instances."""
    ar100: float | None
    """Mean recall with the best 100 instances."""

    def record(self) -> dict[str, str | int | float | None]:
        """Returns one flat row of results, with the field's names."""
        return {
            "class": self.name,
            "truth": self.truth,
            "found": self.found,
            "AP": self.ap,
            "AP50": self.ap50,
            "AP75": self.ap75,
            "APs": self.ap_small,
            "APm": self.ap_medium,
            "APl": self.ap_large,
            "AR1": self.ar1,
            "AR10": self.ar10,
            "AR100": self.ar100,
        }


def evaluate_masks(
    truth: CocoTruth, results: Sequence[Result], classes: Collection[str] | None = None
) -> list[ClassPrecision]:
    """Scores results class by class.

    Args:
        truth: what is there.
        results: what was found.
        classes: names of the classes to score; those with masks to be found by default.

    Returns:
        One row for each class in the order of the file's category ids, then the mean over them, `all`.

    Raises:
        InputError: there is no such class in the truth.
    """
    categories = scored_categories(truth, classes)
    evaluation = run_coco_eval(truth, results, categories)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        evaluation.accumulate()
    expected = Counter(mask.category_id for mask in truth.masks if not mask.crowd)
    found = Counter(result.category_id for result in results)
    # precision: (IoU, recall, class, size, detections); recall: (IoU, class, size, detections); -1 for nothing to find
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    rows = []
    columns = [(truth.class_names[category], [column]) for column, category in enumerate(categories)]
    for name, chosen in [*columns, (ALL_CLASSES, list(range(len(categories))))]:
        members = [categories[column] for column in chosen]
        rows.append(
            ClassPrecision(
                name,
                sum(expected[c] for c in members),
                sum(found[c] for c in members),
                _mean(precision[:, :, chosen, 0, -1]),
                _mean(precision[0, :, chosen, 0, -1]),
                _mean(precision[5, :, chosen, 0, -1]),
                *(_mean(precision[:, :, chosen, size, -1]) for size in (1, 2, 3)),
                *(_mean(recall[:, chosen, 0, most]) for most in (0, 1, 2)),
            )
        )
    return rows


def scored_categories(truth: CocoTruth, classes: Collection[str] | None) -> list[int]:
    """Returns the file's category ids of class names, in ascending order; of all classes with masks for None.

    Raises:
        InputError: there is no such class in the truth.
    """
    wanted = set(truth.annotated_classes if classes is None else classes)
    unknown = sorted(wanted - set(truth.class_names.values()))
    if unknown or not wanted:
        raise InputError(
            f"expected classes of {truth.path}, which has {', '.join(truth.class_names.values())}; got "
            f"{', '.join(unknown) or 'none'}."
        )
    return [category for category, name in sorted(truth.class_names.items()) if name in wanted]


def run_coco_eval(truth: CocoTruth, results: Sequence[Result], categories: Sequence[int]) -> Any:
    """Returns pycocotools' COCOeval with its matches made, `evaluate()`, but not yet accumulated."""
    images: list[dict[str, Any]] = [
        {"id": image.id, "height": image.size[0], "width": image.size[1]} for image in truth.images.values()
    ]
    expected = [
        {
            "image_id": mask.image_id,
            "category_id": mask.category_id,
            "segmentation": mask.rle,
            "area": mask.area,
            "iscrowd": int(mask.crowd),
        }
        for mask in truth.masks
    ]
    found = [
        {
            "image_id": result.image_id,
            "category_id": result.category_id,
            "segmentation": result.rle,
            "area": float(coco_mask.area(result.rle)),
            "iscrowd": 0,
            "score": result.score,
        }
        for result in results
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truth, images, expected), _coco(truth, images, found), "segm")
        evaluation.params.catIds = list(categories)
        evaluation.evaluate()
    return evaluation


def _coco(truth: CocoTruth, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Any:
    coco = COCO()
    # From 1: pycocotools writes the id of a match where 0 means none.
    rows = [{"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)]
    categories = [{"id": category, "name": name} for category, name in truth.class_names.items()]
    coco.dataset = {"images": images, "annotations": rows, "categories": categories}
    coco.createIndex()
    return coco


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
