"""Instances carried along a flow: each is shifted and scaled as the pixels inside its mask say.

As in MedianFlow (Kalal et al., ICPR 2010): the shift is the median flow of points inside the mask, and the scale the
median change of their distances from their middle. The mask inside the box stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import MASK_SIDE, MASK_THRESHOLD, BoxMasks
from roadmask.tracking.propagation.flow import Floats, Flow

GRID = 10
"""Number of rows and columns of points that are tried inside a box."""
AGREEMENT_PX = 1.0
"""Maximum distance in pixels of the small image at which a point agrees with the motion of its instance."""
AGREEMENT_SHARE = 0.05
"""The same as a share of the box's shorter side, for large instances."""
SCALE_MAX = 1.15
"""Maximum change of size between two frames, in either direction."""
POINTS_MIN = 4
"""Minimum number of points inside the image; with fewer an instance cannot be carried."""


@dataclass(frozen=True, eq=False)
class Carried:
    """Instances after one step of flow."""

    instances: Instances
    """The same instances in the same order, where they are now."""
    confidence: Floats
    """(N,) share of the points that agree with their instance's motion, 0 to 1; 0 if it left the image."""


def carry(instances: Instances, flow: Flow) -> Carried:
    """Moves instances along a flow.

    Args:
        instances: instances of the image that the flow starts from, with masks as the network gives them (`BoxMasks`)
            or run lengths, which are shifted by whole pixels and not scaled.
        flow: of images of the same size.
    """
    count = len(instances)
    if not count:
        return Carried(replace(instances, semantic=None), np.zeros(0, np.float32))
    boxes = instances.boxes.astype(np.float64)
    points, inside = _points(instances, flow)
    height, width = flow.vectors.shape[:2]
    column = np.clip(np.rint(points[..., 0]), 0, width - 1).astype(np.intp)
    row = np.clip(np.rint(points[..., 1]), 0, height - 1).astype(np.intp)
    motion = np.where(inside[..., None], flow.vectors[row, column], np.nan)
    with np.errstate(all="ignore"):
        shift = _median(motion)
        middle = _median(np.where(inside[..., None], points, np.nan))
        spread = np.hypot(*np.moveaxis(points - middle[:, None], -1, 0))
        later = np.hypot(*np.moveaxis(points + motion - (middle + shift)[:, None], -1, 0))
        scale = _median(np.where((spread > 1)[..., None], (later / spread)[..., None], np.nan))[:, 0]
    known = inside.sum(axis=1) >= POINTS_MIN
    scale = np.where(np.isfinite(scale), np.clip(scale, 1 / SCALE_MAX, SCALE_MAX), 1.0)
    shift = np.where(known[:, None], shift, 0.0)
    middle = np.where(known[:, None], middle, 0.0)
    expected = shift[:, None] + (points - middle[:, None]) * (scale - 1)[:, None, None]
    size = (boxes[:, 2:] - boxes[:, :2]) * flow.scale
    tolerance = np.maximum(AGREEMENT_PX, AGREEMENT_SHARE * size.min(axis=1))
    error = np.hypot(*np.moveaxis(np.nan_to_num(motion - expected, nan=np.inf), -1, 0))
    followed = inside & (error < tolerance[:, None]) & flow.explained(column, row)
    agree = followed.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    middle, shift = middle / flow.scale, shift / flow.scale
    corners = boxes.reshape(-1, 2, 2)
    moved = middle[:, None] + shift[:, None] + (corners - middle[:, None]) * scale[:, None, None]
    confidence = np.where(known & _visible(moved, flow.image_size), agree, 0.0).astype(np.float32)
    return Carried(_placed(instances, moved.reshape(-1, 4)), confidence)


def _points(instances: Instances, flow: Flow) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns (N, P, 2) points x, y in small pixels on a grid in each box, and (N, P) which lie in mask and image."""
    steps = (np.arange(GRID) + 0.5) / GRID
    across, down = (each.ravel() for each in np.meshgrid(steps, steps))
    x1, y1, x2, y2 = (each[:, None] for each in instances.boxes.astype(np.float64).T)
    points = np.stack([x1 + across * (x2 - x1), y1 + down * (y2 - y1)], axis=2)
    height, width = instances.image_size
    inside = ((points >= 0) & (points < (width, height))).all(axis=2)
    masks = instances.masks
    if isinstance(masks, BoxMasks):
        cells = (down * MASK_SIDE).astype(np.intp), (across * MASK_SIDE).astype(np.intp)
        inside &= masks.probabilities[:, *cells] >= MASK_THRESHOLD
    else:  # without a grid of probabilities, the middle of the box is most likely the object
        inside &= (np.abs(across - 0.5) < 0.3) & (np.abs(down - 0.5) < 0.4)
    small: NDArray[np.float64] = points * flow.scale.astype(np.float64) - 0.5
    return small, inside


def _median(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Returns the (N, D) lower medians over the second axis of (N, P, D), without NaN; NaN where there is nothing.

    `nanmedian` does the same ten times slower.
    """
    ordered = np.sort(values.astype(np.float64), axis=1)  # NaN goes last
    last = np.maximum((~np.isnan(ordered)).sum(axis=1) - 1, 0) // 2
    middle: NDArray[np.float64] = np.take_along_axis(ordered, last[:, None], axis=1)[:, 0]
    return middle


def _visible(corners: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = image_size
    (x1, y1), (x2, y2) = corners[:, 0].T, corners[:, 1].T
    visible: NDArray[np.bool_] = (x2 > 1) & (y2 > 1) & (x1 < width - 1) & (y1 < height - 1)
    return visible


def _placed(instances: Instances, boxes: NDArray[np.float64]) -> Instances:
    """Returns the instances at other boxes, with the masks that they have and no semantic map, which is its image's."""
    masks = instances.masks
    placed = boxes.astype(np.float32)
    if isinstance(masks, BoxMasks):
        masks = BoxMasks(masks.probabilities, placed, masks.image_size)
    elif masks is not None:
        before = instances.boxes.reshape(-1, 2, 2).mean(axis=1)
        masks = masks.translated(placed.reshape(-1, 2, 2).mean(axis=1) - before)
    return replace(instances, boxes=placed, masks=masks, semantic=None)
