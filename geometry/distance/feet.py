"""Where masks stand: their lowest pixels, how high they are, and whether the foot can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.engines.run_lengths import Spans

Floats = NDArray[np.float64]

_FOOT_SHARE, _FOOT_LEAST = 0.06, 1.5
"""Columns whose lowest pixel is this share of the mask's height (and this many pixels) above its foot belong to it."""
_GAP = 3
"""Maximum number of pixels between a mask and one that hides what is below it."""


@dataclass(frozen=True, eq=False)
class Feet:
    """The outlines of N masks, in pixels whose centres are whole numbers; values of empty masks mean nothing."""

    top: Floats
    """(N,) upper edge."""
    bottom: Floats
    """(N,) lower edge."""
    left: Floats
    """(N,) left edge of the foot."""
    right: Floats
    """(N,) right edge of the foot."""
    cut: NDArray[np.bool_]
    """(N,) whether the border of the image cuts the mask, or the mask is empty."""
    hidden: Floats
    """(N,) share of the lower edge right below which another instance continues."""


def feet_of(masks: RleMasks | BoxMasks, border: float) -> Feet:
    """Finds the feet of the masks of one image; those within `border` pixels of its border are cut."""
    height, width = masks.image_size
    spans = masks.to_rle()._spans
    column, owner = spans.start // height, spans.owner
    if ((spans.stop - 1) // height != column).any():  # a span continues in the next column
        spans = spans.moved(np.zeros((spans.count, 2), np.int64), masks.image_size)
        column, owner = spans.start // height, spans.owner
    first = np.searchsorted(owner, np.arange(spans.count))
    empty = np.bincount(owner, minlength=spans.count) == 0
    if not len(owner):
        zeros = np.zeros(spans.count)
        return Feet(zeros, zeros, zeros, zeros, empty, zeros)
    # Of each column of a mask, the last span ends at the lower edge.
    lowest = np.ones(len(owner), np.bool_)
    lowest[:-1] = (owner[1:] != owner[:-1]) | (column[1:] != column[:-1])
    at = np.minimum(first, len(owner) - 1)
    below = spans.stop - column * height
    bottom = np.maximum.reduceat(below, at)
    top = np.minimum.reduceat(spans.start - column * height, at)
    leftmost = np.minimum.reduceat(column, at)
    rightmost = np.maximum.reduceat(column, at) + 1
    tall = bottom - top
    owner, column, below = owner[lowest], column[lowest], below[lowest]
    in_foot = below >= (bottom - np.maximum(tall * _FOOT_SHARE, _FOOT_LEAST))[owner]
    left, right = np.full(spans.count, width), np.zeros(spans.count, np.int64)
    np.minimum.at(left, owner[in_foot], column[in_foot])
    np.maximum.at(right, owner[in_foot], column[in_foot] + 1)
    cut = empty | (top < border) | (bottom > height - border) | (leftmost < border) | (rightmost > width - border)
    hidden = np.bincount(owner, _covered(spans, column * height + below, height), spans.count)
    share: Floats = 1.0 * hidden / np.maximum(np.bincount(owner, minlength=spans.count), 1)
    # The object ends somewhere within the lowest row of its pixels, on average in the middle.
    upper, lower, first_column, last_column = np.array([top - 0.5, bottom - 1.0, left - 0.5, right - 0.5], np.float64)
    return Feet(upper, lower, first_column, last_column, cut, share)


def _covered(spans: Spans, edges: NDArray[np.int64], height: int) -> NDArray[np.float64]:
    """Returns 1 where a mask begins within a gap below an edge, or reaches past it, and 0 elsewhere.

    Args:
        spans: all masks; the edges are their lower ones, so a mask never covers its own.
        edges: (E,) pixel below each edge, as column * height + row.
        height: height of the image in pixels.
    """
    order = np.argsort(spans.start, kind="stable")
    start = spans.start[order]
    reach = np.maximum.accumulate(spans.stop[order])
    # not past the end of the column
    until = np.minimum(edges + _GAP, ((edges - 1) // height + 1) * height)
    before = np.searchsorted(start, until)
    return ((before > 0) & (reach[np.maximum(before - 1, 0)] > edges + 1)).astype(np.float64)
