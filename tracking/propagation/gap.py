"""The frames between two detections of a recorded drive: carried from both, and reconciled.

What the first detection found is carried forward, and what the second found is carried back. Where both are the same
object, its box is blended by distance in time and its mask taken from the nearer detection. What only one of them found
is kept where its motion is certain, and for less than half of the gap: the object came or went in between.

Weak detections count as a second opinion: an object needs a strong detection on one side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks
from roadmask.tracking.propagation.carrying import carry
from roadmask.tracking.propagation.flow import Floats, Flow

PAIR_IOU = 0.3
"""Minimum IoU of the boxes of a carried and a detected instance that are the same object."""
CONFIDENCE_MIN = 0.5
"""Minimum share of points that agree, step by step, for an instance to be carried on."""
MIDDLE_CONFIDENCE_MIN = 0.8
"""The same in the middle of a gap, where an object that only one detection found is as likely gone as there."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Instances carried step by step through a gap."""

    instances: list[Instances]
    """The same instances in the same order at each step, the detection itself first."""
    confidence: list[Floats]
    """(N,) lowest confidence of the steps up to each one; 1 at the detection itself."""


def carry_through(detected: Instances, flows: Sequence[Flow | None]) -> Steps:
    """Carries instances through consecutive flows; the confidence is 0 from a flow on that is None."""
    instances, confidence = [detected], [np.ones(len(detected), np.float32)]
    for flow in flows:
        if flow is None or not confidence[-1].any():
            instances.append(instances[-1])
            confidence.append(np.zeros(len(detected), np.float32))
            continue
        carried = carry(instances[-1], flow)
        instances.append(carried.instances)
        confidence.append(np.minimum(confidence[-1], carried.confidence))
    return Steps(instances, confidence)


def fill_gap(
    first: Instances,
    second: Instances,
    forward: Sequence[Flow | None],
    backward: Sequence[Flow | None],
    score_min: float,
) -> list[Instances]:
    """Returns the instances of the frames between two detections, in their order.

    Args:
        first: detection before the gap, weak ones included.
        second: detection after it, of the same camera and epoch.
        forward: flow of each pair of neighbouring frames, from the first detection to the second: one more than frames.
        backward: flow of the same pairs in the other direction, in the same order.
        score_min: minimum score of a strong detection.
    """
    length = len(forward)
    ahead = carry_through(first, forward)
    back = carry_through(second, list(reversed(backward)))
    rows, columns = _pairs(ahead, back, length)
    strong = np.maximum(first.scores[rows], second.scores[columns]) >= score_min
    rows, columns = rows[strong], columns[strong]
    alone_ahead = np.setdiff1d(np.flatnonzero(first.scores >= score_min), rows)
    alone_back = np.setdiff1d(np.flatnonzero(second.scores >= score_min), columns)
    filled = []
    for step in range(1, length):
        parts = [_blended(ahead.instances[step][rows], back.instances[length - step][columns], step / length)]
        for carried, alone, distance in ((ahead, alone_ahead, step), (back, alone_back, length - step)):
            certain = alone[carried.confidence[distance][alone] >= CONFIDENCE_MIN]
            if 2 * distance == length:  # the middle of the gap: as likely gone as there, so only the most certain stay
                certain = alone[carried.confidence[distance][alone] >= MIDDLE_CONFIDENCE_MIN]
            if 2 * distance <= length:
                parts.append(carried.instances[distance][certain])
        filled.append(_joined(parts))
    return filled


def _pairs(ahead: Steps, back: Steps, length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs both detections where they meet in the middle of the gap, and where either arrives at the other."""
    iou = np.zeros((len(ahead.instances[0]), len(back.instances[0])))
    for step in {0, length // 2, length}:
        one, other = ahead.instances[step], back.instances[length - step]
        known = (ahead.confidence[step] > 0)[:, None] & (back.confidence[length - step] > 0)
        iou = np.maximum(iou, np.where(known, _box_iou(one.boxes, other.boxes), 0))
    iou[ahead.instances[0].category_ids[:, None] != back.instances[0].category_ids] = 0
    rows, columns = linear_sum_assignment(iou, maximize=True)
    kept = iou[rows, columns] >= PAIR_IOU
    return rows[kept], columns[kept]


def _blended(ahead: Instances, back: Instances, weight: float) -> Instances:
    """Returns pairs with their boxes blended by `weight`, 0 to 1, and the mask of the nearer detection."""
    nearer = ahead if weight <= 0.5 else back
    boxes = ((1 - weight) * ahead.boxes + weight * back.boxes).astype(np.float32)
    scores = np.maximum(ahead.scores, back.scores)
    masks = nearer.masks
    if isinstance(masks, BoxMasks):
        both = (1 - weight) * ahead.masks.probabilities + weight * back.masks.probabilities  # type: ignore[union-attr]
        masks = BoxMasks(both.astype(np.float32), boxes, masks.image_size)
    elif masks is not None:
        middles = (each.reshape(-1, 2, 2).mean(axis=1) for each in (boxes, nearer.boxes))
        masks = masks.translated(np.subtract(*middles))
    return replace(nearer, boxes=boxes, scores=scores, masks=masks)


def _joined(parts: Sequence[Instances]) -> Instances:
    """Returns the instances of all parts, best score first."""
    first = parts[0]
    order = np.argsort(-np.concatenate([each.scores for each in parts]), kind="stable")
    masks = first.masks
    if isinstance(masks, BoxMasks):
        probabilities = np.concatenate([each.masks.probabilities for each in parts])  # type: ignore[union-attr]
        boxes = np.concatenate([each.boxes for each in parts])
        masks = BoxMasks(probabilities[order], boxes[order], first.image_size)
    return replace(
        first,
        boxes=np.concatenate([each.boxes for each in parts])[order],
        scores=np.concatenate([each.scores for each in parts])[order],
        category_ids=np.concatenate([each.category_ids for each in parts])[order],
        masks=masks,
    )


def _box_iou(one: Floats, other: Floats) -> NDArray[np.float64]:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2, dtype=np.float64)
    area = [(each[:, 2:] - each[:, :2]).prod(axis=1, dtype=np.float64) for each in (one, other)]
    union = area[0][:, None] + area[1][None] - shared
    iou: NDArray[np.float64] = shared / np.maximum(union, 1e-9)
    return iou
