"""Overlap measures of boxes, and the assignment of instances to tracks by overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.assignment import assign
from roadmask.tracking.iou.motion import Floats

Rows = NDArray[np.intp]

_TINY = np.finfo(np.float64).tiny


def box_iou(boxes: Floats, others: Floats) -> Floats:
    """Returns the (N, M) intersection over union of xyxy boxes; 0 if both are empty."""
    # Side by side, not as (N, M, 2): NumPy is fast along its last axis, and this runs for every frame.
    left, top, right, bottom = boxes.T[:, :, None]
    other_left, other_top, other_right, other_bottom = others.T[:, None]
    shared: Floats = np.minimum(right, other_right)
    shared -= np.maximum(left, other_left)
    height = np.minimum(bottom, other_bottom)
    height -= np.maximum(top, other_top)
    np.maximum(shared, 0, out=shared)
    np.maximum(height, 0, out=height)
    shared *= height
    union = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
    union -= shared
    # Where the union is empty, so is what is shared.
    np.maximum(union, _TINY, out=union)
    shared /= union
    return shared


def generalized_iou(boxes: Floats, others: Floats) -> Floats:
    """Returns the (N, M) generalised IoU of xyxy boxes, above -1 to 1 (Rezatofighi et al. 2019).

    It is the IoU minus the share of the enclosing box that neither box covers. It approaches -1 with the distance of
    the boxes in multiples of their size.
    """
    hull = np.maximum(boxes[:, None, 2:], others[None, :, 2:]) - np.minimum(boxes[:, None, :2], others[None, :, :2])
    hull_area = hull[..., 0] * hull[..., 1]
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    sides = np.maximum(np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    other_area = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union = area[:, None] + other_area[None] - shared
    share = np.divide(union, hull_area, out=np.zeros_like(union), where=hull_area > 0)
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    result: Floats = iou - 1 + share
    return result


def centre_distance(boxes: Floats, others: Floats) -> Floats:
    """Returns the (N, M) distances of centres in multiples of the first boxes' size, the root of their area."""
    apart = (others[None, :, :2] + others[None, :, 2:] - boxes[:, None, :2] - boxes[:, None, 2:]) / 2
    size = np.sqrt(np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1))
    distance: Floats = np.hypot(apart[..., 0], apart[..., 1]) / size[:, None]
    return distance


def size_ratio(boxes: Floats, others: Floats) -> Floats:
    """Returns the (N, M) ratios of box sides, 0 to 1: the smaller one of the ratios of widths and of heights."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)[:, None]
    other_sides = np.maximum(others[:, 2:] - others[:, :2], 1)[None]
    ratio: Floats = np.minimum(sides / other_sides, other_sides / sides).min(axis=2)
    return ratio


def associate(overlap: Floats, tracks: Rows, instances: Rows, overlap_min: float) -> tuple[Rows, Rows]:
    """Matches tracks with instances so that the sum of overlaps is largest.

    Args:
        overlap: (T, N) overlap of every track with every instance, 0 to 1.
        tracks: rows of `overlap` to match.
        instances: columns of `overlap` to match.
        overlap_min: minimum overlap of a pair.

    Returns:
        Rows and columns of `overlap` that were matched, in the order of the rows.
    """
    part = overlap[np.ix_(tracks, instances)]
    allowed = part >= overlap_min
    # Pairs below the gate weigh nothing, so leaving a track alone never costs more than a bad pair would.
    rows, columns = assign(np.where(allowed, part, 0.0))
    return tracks[rows], instances[columns]
