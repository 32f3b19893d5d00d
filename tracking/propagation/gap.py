"""The frames between two detections of a recorded drive: carried from both, and reconciled.

What the first detection found is carried forward, and what the second found is carried back. Where both are the same
object, its box is blended by distance in time and its mask taken from the nearer detection. What only one of them found
is kept where its motion is certain, and for at most half of the gap: the object came or went in between. Across a
change of scene nothing is carried; each side then owns the frames up to it.

Weak detections count as a second opinion: an object needs a strong detection on one side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.assignment import assign
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.tracking.propagation.carrying import carry
from roadmask.tracking.propagation.flow import Floats, Flow

WEAK_SCORE_MIN = 0.3
"""Minimum score of a weak detection, which only confirms what the other side found."""
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
    timestamps_ns: Sequence[int],
    score_min: float,
) -> list[Instances]:
    """Returns the instances of the frames between two detections, in their order.

    Args:
        first: detection before the gap, weak ones included.
        second: detection after it, of the same camera and epoch.
        forward: flow of each pair of neighbouring frames, from the first detection to the second: one more than frames.
        backward: flow of the same pairs in the other direction, in the same order.
        timestamps_ns: capture times in nanoseconds, from that of the first detection to that of the second.
        score_min: minimum score of a strong detection.
    """
    length = len(forward)
    ahead = carry_through(first, forward)
    back = carry_through(second, list(reversed(backward)))
    cut = any(flow is None for flow in (*forward, *backward))
    rows, columns = _pairs(ahead, back, length)
    strong = np.maximum(first.scores[rows], second.scores[columns]) >= score_min
    rows, columns = rows[strong], columns[strong]
    alone_ahead = np.setdiff1d(np.flatnonzero(first.scores >= score_min), rows)
    alone_back = np.setdiff1d(np.flatnonzero(second.scores >= score_min), columns)
    filled = []
    for step in range(1, length):
        since, until = (abs(timestamps_ns[step] - timestamps_ns[end]) for end in (0, -1))
        both = _blended(ahead.instances[step][rows], back.instances[length - step][columns], step / length)
        parts = [_aged(both, min(since, until))]
        for carried, alone, distance, age in (
            (ahead, alone_ahead, step, since),
            (back, alone_back, length - step, until),
        ):
            # In the middle of the gap the object is as likely gone as there, so only the most certain stay.
            least = MIDDLE_CONFIDENCE_MIN if 2 * distance == length and not cut else CONFIDENCE_MIN
            if cut or 2 * distance <= length:
                certain = alone[carried.confidence[distance][alone] >= least]
                parts.append(_aged(carried.instances[distance][certain], age))
        filled.append(joined(parts))
    return filled


def carry_on(
    detected: Instances, flows: Sequence[Flow | None], timestamps_ns: Sequence[int], score_min: float
) -> list[Instances]:
    """Returns the instances of the frames that follow or precede the only detection that is known, nearest frame first.

    Args:
        detected: the detection, weak ones included.
        flows: flow from each frame to the next one, away from the detection.
        timestamps_ns: capture times in nanoseconds of the detection and of each of these frames.
        score_min: minimum score of a strong detection.
    """
    steps = carry_through(detected[detected.scores >= score_min], flows)
    return [
        _aged(instances[confidence >= CONFIDENCE_MIN], abs(time - timestamps_ns[0]))
        for instances, confidence, time in zip(
            steps.instances[1:], steps.confidence[1:], timestamps_ns[1:], strict=True
        )
    ]


def _aged(instances: Instances, since_ns: int) -> Instances:
    """Returns instances with their age, and without the semantic map of another image."""
    return replace(instances, semantic=None, since_detected_ns=np.full(len(instances), since_ns, np.int64))


def _pairs(ahead: Steps, back: Steps, length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs both detections where they meet in the middle of the gap, and where either arrives at the other."""
    iou = np.zeros((len(ahead.instances[0]), len(back.instances[0])))
    for step in {0, length // 2, length}:
        one, other = ahead.instances[step], back.instances[length - step]
        known = (ahead.confidence[step] > 0)[:, None] & (back.confidence[length - step] > 0)
        iou = np.maximum(iou, np.where(known, _box_iou(one.boxes, other.boxes), 0))
    iou[ahead.instances[0].category_ids[:, None] != back.instances[0].category_ids] = 0
    rows, columns = assign(iou)
    kept = iou[rows, columns] >= PAIR_IOU
    return rows[kept], columns[kept]


def _blended(ahead: Instances, back: Instances, weight: float) -> Instances:
    """Returns pairs with their boxes and masks blended by `weight`, 0 to 1: the share of what was carried back.

    Masks that are not probabilities in a box cannot be blended: those of the nearer detection are taken.
    """
    nearer = ahead if weight <= 0.5 else back
    boxes = ((1 - weight) * ahead.boxes + weight * back.boxes).astype(np.float32)
    scores = np.maximum(ahead.scores, back.scores)
    masks = nearer.masks
    if isinstance(ahead.masks, BoxMasks) and isinstance(back.masks, BoxMasks):
        both = (1 - weight) * ahead.masks.probabilities + weight * back.masks.probabilities
        masks = BoxMasks(both.astype(np.float32), boxes, nearer.image_size)
    elif masks is not None:
        middles = (each.reshape(-1, 2, 2).mean(axis=1) for each in (boxes, nearer.boxes))
        masks = masks.translated(np.subtract(*middles))
    return replace(nearer, boxes=boxes, scores=scores, masks=masks)


def joined(parts: Sequence[Instances]) -> Instances:
    """Returns the instances of several detections of one image, best score first."""
    first = parts[0]
    whole = replace(
        first,
        boxes=np.concatenate([each.boxes for each in parts]),
        scores=np.concatenate([each.scores for each in parts]),
        category_ids=np.concatenate([each.category_ids for each in parts]),
        masks=_joined_masks([each.masks for each in parts if len(each)] or [first.masks], first.image_size),
        since_detected_ns=np.concatenate([_since(each) for each in parts]),
    )
    return whole[np.argsort(-whole.scores, kind="stable")]


def _joined_masks(
    masks: Sequence[BoxMasks | RleMasks | None], image_size: tuple[int, int]
) -> BoxMasks | RleMasks | None:
    grids = [each for each in masks if isinstance(each, BoxMasks)]
    if len(grids) == len(masks):
        probabilities = np.concatenate([each.probabilities for each in grids])
        return BoxMasks(probabilities, np.concatenate([each.boxes for each in grids]), image_size)
    known = [each for each in masks if each is not None]
    if len(known) < len(masks):
        return None
    return RleMasks(tuple(counts for each in known for counts in each.to_rle().counts), image_size)


def _since(instances: Instances) -> NDArray[np.int64]:
    since = instances.since_detected_ns
    return np.zeros(len(instances), np.int64) if since is None else since


def _box_iou(one: Floats, other: Floats) -> NDArray[np.float64]:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2, dtype=np.float64)
    area = [(each[:, 2:] - each[:, :2]).prod(axis=1, dtype=np.float64) for each in (one, other)]
    union = area[0][:, None] + area[1][None] - shared
    iou: NDArray[np.float64] = shared / np.maximum(union, 1e-9)
    return iou
