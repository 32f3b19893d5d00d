"""Accuracy of instances: mask AP as COCO defines it, and whether a difference between engines is significant.

Knows ground truth and instances; knows no camera, no tracker's insides, no store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.evaluation.average_precision import ClassPrecision, evaluate_masks
from roadmask.evaluation.bootstrap import Loss, paired_loss
from roadmask.evaluation.coco_json import CocoTruth, Result, read_results, read_truth, write_coco_results
from roadmask.evaluation.segmenting import common_classes, find_images, segment_truth
from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.evaluation.failures import find_failures as find_failures

__all__ = [
    "ClassPrecision",
    "CocoTruth",
    "Loss",
    "Result",
    "common_classes",
    "evaluate_masks",
    "find_failures",
    "find_images",
    "paired_loss",
    "read_results",
    "read_truth",
    "segment_truth",
    "write_coco_results",
]

# What draws and judges scenes is loaded when it is first used.
__getattr__, __dir__ = lazy_names(__name__, {"roadmask.evaluation.failures": ["find_failures"]})
