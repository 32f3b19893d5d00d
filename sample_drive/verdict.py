"""What became of each object and of each prediction in one frame, so that it can be drawn and counted.

Matches and what counts are those of `score_drive`; what matches nothing is told apart by what it lies on.
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
"""Share of a prediction's pixels from which an object is a part of it."""


class Outcome(Enum):
    """What a prediction is worth."""

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
    """One frame judged."""

    counts: NDArray[np.bool_]
    """(M,) whether each object of the truth is tall enough to count."""
    found: NDArray[np.bool_]
    """(M,) whether a prediction matches it."""
    outcomes: tuple[Outcome, ...]
    """(N,) one a prediction."""
    several: NDArray[np.bool_]
    """(N,) whether a prediction covers most of two objects or more that count, whatever else it is; slivers of a fifth
    of its pixels or less are no second object."""

    @property
    def missed(self) -> NDArray[np.bool_]:
        """(M,) objects that count and were not found."""
        return self.counts & ~self.found

    def number(self, outcome: Outcome) -> int:
        """Returns how many predictions came to this."""
        return self.outcomes.count(outcome)


def judge(predicted: Instances, truth: TruthFrame, labels: Sequence[int] = (PEDESTRIAN, CAR)) -> Verdict:
    """Judges one frame.

    Args:
        predicted: what was found, with masks.
        truth: what was to be found.
        labels: COCO category ids that are judged; objects of others do not count, predictions of others are ignored.

    Raises:
        InputError: there are no masks.
    """
    objects = truth.instances
    if predicted.masks is None or objects.masks is None:
        raise InputError("expected predictions with masks, got boxes only: judge what a mask model found.")
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
