"""The paired bootstrap over images: is a difference in AP between two engines significant?

Both engines ran on the same images. Images are drawn again and again with replacement, the same for both; how
the difference varies over the draws is how far it can be trusted (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993). Matches are made once; a draw only weighs images, so thousands of draws take seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.evaluation.average_precision import ALL_CLASSES, run_coco_eval, scored_categories
from roadmask.evaluation.coco_json import CocoTruth, Result

_RECALLS = np.linspace(0, 1, 101)
"""Recalls at which COCO reads the precision."""
_INTERVAL = (2.5, 97.5)
"""Percentiles between which the middle 95 % of the draws lie."""


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """The matches of one class on all images."""

    images: NDArray[np.intp]
    """(N,) position of the image of each detection, best score first."""
    right: NDArray[np.bool_]
    """(10, N) whether the detection matches an object, at the IoUs 0.50, 0.55 .. 0.95."""
    wrong: NDArray[np.bool_]
    """(10, N) whether the detection matches nothing; neither right nor wrong on a crowd."""
    expected: NDArray[np.int64]
    """(P,) number of objects in each image."""

    def average_precision(self, weights: NDArray[Any] | None = None) -> float:
        """Returns COCO's AP, 0 to 1, as if each image were there as often as its weight (P,) says; else once.

        NaN where there is nothing to find.
        """
        weights = np.ones(len(self.expected)) if weights is None else weights
        expected = float(weights @ self.expected)
        if not expected:
            return float("nan")
        if not len(self.images):
            return 0.0
        each = weights[self.images].astype(np.float64)
        right, wrong = np.cumsum(self.right * each, axis=1), np.cumsum(self.wrong * each, axis=1)
        recall = right / expected
        precision = right / (right + wrong + np.spacing(1.0))
        best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        padded = np.pad(best_from_here, ((0, 0), (0, 1)))  # recalls that are never reached
        read = [row[np.searchsorted(reached, _RECALLS)] for row, reached in zip(padded, recall, strict=True)]
        return float(np.mean(read))


@dataclass(frozen=True)
class Loss:
    """The AP, 0 to 1, that a candidate loses against a reference."""

    name: str
    """Name of the class; `all` for the mean over classes."""
    reference_ap: float
    candidate_ap: float
    low: float
    """Lower bound: the loss exceeds it in 97.5 % of the draws."""
    high: float
    """Upper bound: the loss stays below it in 97.5 % of the draws."""

    @property
    def loss(self) -> float:
        """AP lost on the images as they are; negative for a gain."""
        return self.reference_ap - self.candidate_ap


def match_masks(truth: CocoTruth, results: Sequence[Result], categories: Sequence[int]) -> list[ClassMatches]:
    """Matches results to the truth once, class by class, as COCO does."""
    evaluation = run_coco_eval(truth, results, categories)
    images, sizes = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    by_class = [evaluation.evalImgs[start : start + images] for start in range(0, len(evaluation.evalImgs), images)]
    return [_class_matches(each) for each in by_class[::sizes]]  # objects of all sizes come first


def paired_loss(
    truth: CocoTruth,
    reference: Sequence[Result],
    candidate: Sequence[Result],
    *,
    classes: Collection[str] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> list[Loss]:
    """Compares two engines on the same images.

    Args:
        truth: what is there.
        reference: what the one engine found.
        candidate: what the other one found.
        classes: names; those with masks to be found by default.
        draws: how often the images are drawn anew.
        seed: of the draws.

    Returns:
        One row for each class, then the mean over them, `all`.

    Raises:
        InputError: there is no such class in the truth.
    """
    categories = scored_categories(truth, classes)
    pairs = list(zip(*(match_masks(truth, results, categories) for results in (reference, candidate)), strict=True))
    weights = np.random.default_rng(seed).multinomial(
        len(truth.images), np.full(len(truth.images), 1 / len(truth.images)), draws
    )
    names = [truth.class_names[category] for category in categories]
    # (classes, 2) and (draws, classes, 2); a draw without objects of a class says nothing about it
    whole = np.array([[side.average_precision() for side in pair] for pair in pairs])
    drawn = np.array([[[side.average_precision(row) for side in pair] for pair in pairs] for row in weights])
    losses = drawn[..., 0] - drawn[..., 1]
    columns = [*losses.T, _mean_of_known(losses)]
    figures = [*whole, whole.mean(axis=0)]
    return [
        Loss(name, float(aps[0]), float(aps[1]), *(float(p) for p in np.nanpercentile(column, _INTERVAL)))
        for name, aps, column in zip([*names, ALL_CLASSES], figures, columns, strict=True)
    ]


def _class_matches(images: Sequence[Any]) -> ClassMatches:
    """Lays the matches of COCOeval, one dict for each image or None for an empty one, behind each other."""
    seen = [(position, image) for position, image in enumerate(images) if image is not None]
    expected = np.zeros(len(images), np.int64)
    for position, image in seen:
        expected[position] = np.count_nonzero(np.logical_not(image["gtIgnore"]))
    scores = np.concatenate([np.zeros(0), *(image["dtScores"] for _, image in seen)])
    order = np.argsort(-scores, kind="stable")
    nothing = np.zeros((10, 0), np.bool_)
    matched = np.concatenate([nothing, *(image["dtMatches"] > 0 for _, image in seen)], axis=1)
    counted = np.concatenate([nothing, *(~image["dtIgnore"].astype(np.bool_) for _, image in seen)], axis=1)
    origin = np.repeat([position for position, _ in seen], [len(image["dtScores"]) for _, image in seen])
    return ClassMatches(
        origin[order].astype(np.intp), (matched & counted)[:, order], (~matched & counted)[:, order], expected
    )


def _mean_of_known(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean over classes in each draw; NaN for a draw without any object, which says nothing at all."""
    known = np.isfinite(losses)
    count = known.sum(axis=1)
    mean: NDArray[np.float64] = np.where(known, losses, 0).sum(axis=1) / np.where(count, count, np.nan)
    return mean
