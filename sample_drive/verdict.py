"""Judges each object and each prediction of one frame, so that they can be drawn and counted.

Matching and the objects that count are those of `score_drive`. A prediction that matches nothing is judged by what it
lies on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.sample_drive.drive import TruthFrame
from roadmask.sample_drive.score import MIN_HEIGHT_PX, MOSTLY, matched_pairs

_PART = 0.2
"""Minimum fraction of a prediction's pixels on an object for the object to be a part of the prediction."""


class Outcome(Enum):
    """The outcome of a prediction."""

    FOUND = "found"
    """It matches an object."""
    AGAIN = "found again"
    """It lies mostly on an object that another prediction has found."""
    ROUGH = "too rough"
    """It lies mostly on objects that nothing has found, without matching one."""
    NOTHING = "mostly on nothing"
    """It lies mostly on no object."""
    IGNORED = "ignored"
    """It matches, or lies mostly on, objects that are too small to count."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """The outcomes of one frame."""

    counts: NDArray[np.bool_]
    """(M,) whether each true object is tall enough to count."""
    found: NDArray[np.bool_]
    """(M,) whether a prediction matches each true object."""
    outcomes: tuple[Outcome, ...]
    """(N,) outcome of each prediction."""
    several: NDArray[np.bool_]
    """(N,) whether each prediction covers most of two or more objects that count, whatever its outcome; objects with a
    fifth of its pixels or less are left out."""

    @property
    def missed(self) -> NDArray[np.bool_]:
        """(M,) whether each true object counts and was not found."""
        return self.counts & ~self.found

    def number(self, outcome: Outcome) -> int:
        """Returns the number of predictions with this outcome."""
        return self.outcomes.count(outcome)


def judge(predicted: Instances, truth: TruthFrame, labels: Sequence[int] = (PEDESTRIAN, CAR)) -> Verdict:
    """Judges one frame.

    Args:
        predicted: predicted instances, with masks.
        truth: ground truth of the frame.
        labels: COCO category ids to judge; objects of other classes do not count, and such predictions are ignored.

    Raises:
        InputError: there are no masks.
    """
    objects = truth.instances
    if predicted.masks is None or objects.masks is None:
        raise InputError("expected predictions with masks, got boxes only: use a model that predicts masks.")
    mine, theirs = predicted.masks.to_rle(), objects.masks.to_rle()
    iou = mine.iou(theirs) * (predicted.category_ids[:, None] == objects.category_ids[None])
    counts = (objects.boxes[:, 3] - objects.boxes[:, 1] >= MIN_HEIGHT_PX) & np.isin(objects.category_ids, labels)
    shared = iou * (mine.area[:, None] + theirs.area[None]) / (1 + iou)
    on_object = shared / np.maximum(mine.area, 1)[:, None]
    of_object = shared / np.maximum(theirs.area, 1)[None]

    pairs = matched_pairs(iou)
    found = np.zeros(len(objects), bool)
    found[[column for _, column in pairs]] = True
    outcomes = []
    matches = dict(pairs)
    for row in range(len(predicted)):
        if row in matches:
            outcomes.append(Outcome.FOUND if counts[matches[row]] else Outcome.IGNORED)
        elif predicted.category_ids[row] not in labels or on_object[row, ~counts].sum() >= MOSTLY:
            outcomes.append(Outcome.IGNORED)
        elif on_object[row, found].sum() >= MOSTLY:
            outcomes.append(Outcome.AGAIN)
        elif on_object[row].sum() >= MOSTLY:
            outcomes.append(Outcome.ROUGH)
        else:
            outcomes.append(Outcome.NOTHING)
    several = ((of_object >= MOSTLY) & (on_object >= _PART) & counts).sum(axis=1) >= 2
    return Verdict(counts, found, tuple(outcomes), several)
