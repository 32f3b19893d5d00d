"""How far the camera's own turn moved the image, told from the boxes alone.

A camera that turns moves everything by about as many pixels. Where most tracks find their box again at one common
displacement from where they were expected, the camera has turned by it, even if no box overlaps its prediction any
more. No image is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.tracking.iou.association import size_ratio
from roadmask.tracking.iou.motion import Floats, centres

SIZE_RATIO_MIN = 0.75
"""Pairs whose sides differ by more cannot be the same thing a frame later, or tell little about the displacement."""
TOLERANCE = 0.2
"""Standard deviation of where a box is found around the common displacement, in multiples of its size ..."""
TOLERANCE_PX = 2.0
"""... and in pixels, which are added."""
TRACKS_MIN = 2
"""One track alone may as well have sped up."""
CANDIDATES_MAX = 128
"""Displacements tried; bounds the time a crowd takes."""


def stands_still(predicted: Floats, boxes: Floats, iou: Floats, reach: tuple[float, float], share_min: float) -> bool:
    """Tells at little cost that `common_displacement` would find none: enough tracks find a box where they should be.

    Args:
        predicted: (T, 4) where tracks seen a moment ago were expected.
        boxes: (N, 4) boxes of the frame.
        iou: (T, N) of those boxes, 0 across classes.
        reach: as in `common_displacement`.
        share_min: as in `common_displacement`.
    """
    best = iou.argmax(axis=1)
    found = boxes[best]
    offsets = np.abs(centres(found) - centres(predicted))
    sides, found_sides = predicted[:, 2:] - predicted[:, :2], found[:, 2:] - found[:, :2]
    alike = np.minimum(sides, found_sides) >= SIZE_RATIO_MIN * np.maximum(sides, found_sides)
    possible = (alike & (offsets <= reach)).all(axis=1) & (iou[np.arange(len(iou)), best] > 0)
    deviation = offsets / (TOLERANCE * np.sqrt(sides[:, 0] * sides[:, 1]) + TOLERANCE_PX)[:, None]
    fit = np.exp(-0.5 * (deviation * deviation).sum(axis=1))
    # No displacement can win more than what the tracks lack that find their box without one.
    return bool(len(predicted) - fit[possible].sum() < share_min * len(predicted))


def common_displacement(
    predicted: Floats,
    category_ids: NDArray[np.int64],
    boxes: Floats,
    box_category_ids: NDArray[np.int64],
    reach: tuple[float, float],
    share_min: float,
) -> Floats:
    """Returns the displacement, x and y in pixels, at which the most tracks find a box of their class and size.

    Args:
        predicted: (T, 4) where tracks seen a moment ago were expected.
        category_ids: (T,) their classes.
        boxes: (N, 4) boxes of the frame.
        box_category_ids: (N,) their classes.
        reach: largest displacement to look for, x and y in pixels.
        share_min: share of the tracks that must find a box there and not without displacement; else it is zero.
    """
    none = np.zeros(2)
    if len(predicted) < TRACKS_MIN or not len(boxes):
        return none
    offsets = centres(boxes)[None] - centres(predicted)[:, None]
    possible = (category_ids[:, None] == box_category_ids) & (size_ratio(predicted, boxes) >= SIZE_RATIO_MIN)
    possible &= (np.abs(offsets) <= reach).all(axis=2)
    track, _ = np.nonzero(possible)
    if not len(track):
        return none
    offsets = offsets[possible]
    step = -(-len(offsets) // CANDIDATES_MAX)
    candidates = np.concatenate([none[None], offsets[::step]])

    # Each track votes for a displacement as well as its best box fits there.
    size = np.sqrt(np.prod(predicted[track, 2:] - predicted[track, :2], axis=1))
    deviation = (offsets[None] - candidates[:, None]) / (TOLERANCE * size + TOLERANCE_PX)[None, :, None]
    fit = np.exp(-0.5 * (deviation**2).sum(axis=2))
    votes = np.maximum.reduceat(fit, np.flatnonzero(np.diff(track, prepend=-1)), axis=1)
    total = votes.sum(axis=1)
    best = int(total.argmax())
    if total[best] - total[0] < share_min * len(predicted):
        return none
    chosen: Floats = candidates[best]
    return chosen
