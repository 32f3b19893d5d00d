"""Estimates from the boxes alone how far a turn of the camera moved the image.

A camera that turns moves everything by about the same number of pixels. If most tracks find their box at one common
displacement from its predicted place, the camera has turned by that displacement, even if no box overlaps its
prediction any more. No image is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.tracking.iou.association import size_ratio
from roadmask.tracking.iou.motion import Floats, centres

SIZE_RATIO_MIN = 0.75
"""Minimum ratio of the sides of two boxes that are compared: others are not the same thing one frame later."""
TOLERANCE = 0.2
"""Standard deviation of a box around the common displacement, in multiples of its size ..."""
TOLERANCE_PX = 2.0
"""... plus this many pixels."""
TRACKS_MIN = 2
"""Minimum number of tracks: a single one may as well have accelerated."""
CANDIDATES_MAX = 128
"""Maximum number of displacements that are tried, which limits the time that a crowd takes."""


def stands_still(predicted: Floats, boxes: Floats, iou: Floats, reach: tuple[float, float], share_min: float) -> bool:
    """Returns, at little cost, whether `common_displacement` is zero because enough tracks match without it.

    Args:
        predicted: (T, 4) predicted boxes of the tracks that were detected in the last frame.
        boxes: (N, 4) detected boxes.
        iou: (T, N) IoU of these boxes, 0 across classes.
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
    # No displacement can gain more than what the tracks lack that match without one.
    return bool(len(predicted) - fit[possible].sum() < share_min * len(predicted))


def common_displacement(
    predicted: Floats,
    category_ids: NDArray[np.int64],
    boxes: Floats,
    box_category_ids: NDArray[np.int64],
    reach: tuple[float, float],
    share_min: float,
) -> Floats:
    """Returns the displacement, x and y in pixels, with which most tracks match a box of their class and size.

    Args:
        predicted: (T, 4) predicted boxes of the tracks that were detected in the last frame.
        category_ids: (T,) category ids of the tracks.
        boxes: (N, 4) detected boxes.
        box_category_ids: (N,) category ids of the detected boxes.
        reach: maximum displacement, x and y in pixels.
        share_min: minimum share of the tracks that must match with the displacement and not without it; else zero is
            returned.
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

    # The vote of a track for a displacement is how well its best box fits there.
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
