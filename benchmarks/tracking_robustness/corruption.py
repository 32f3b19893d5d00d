"""Ground truth corrupted like a detector's output: some instances missing, boxes and masks off, false ones added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.kitti import KittiFrame, read_kitti_mots

MISSING, JITTER, FALSE = 0.2, 0.05, 0.1
"""Shares of detections that are missing, of the size by which they are off, and of false ones added."""
TRUE_SCORES, FALSE_SCORES = (5, 2), (2, 4)
"""Parameters of the Beta distributions of scores."""


@dataclass(frozen=True, eq=False)
class CorruptedFrame:
    """One frame: its true instances, and the corrupted ones that a tracker gets."""

    true_ids: NDArray[np.int64]
    """(G,) true ids."""
    truth: Instances
    """The G true instances."""
    seen: Instances
    """The D corrupted instances, in random order."""
    similarity: NDArray[np.float64]
    """(G, D) mask IoU of true and corrupted instances."""


def corrupt_sequence(path: Path, seed: int) -> list[CorruptedFrame]:
    """Reads a sequence of KITTI MOTS and spoils it; the same seed spoils it the same way.

    Each thing is missing from a frame with probability `MISSING`. Each edge of a box is off by a normal deviate of
    `JITTER` times the box's side, and the mask is stretched into the new box. For every thing seen, with probability
    `FALSE`, the shape of some thing of the sequence appears at a random place of the frame.

    Raises:
        InputError: see `read_kitti_mots`.
    """
    draw = np.random.default_rng([seed, int(path.stem)])
    frames = read_kitti_mots(path)
    every = [(n, row) for n, frame in enumerate(frames) for row in range(len(frame.rows))]
    return [_spoil(frame, frames, every, draw) for frame in frames]


def _spoil(
    frame: KittiFrame, frames: list[KittiFrame], every: list[tuple[int, int]], draw: np.random.Generator
) -> CorruptedFrame:
    truth = frame.instances
    height, width = truth.image_size
    kept = np.flatnonzero(draw.random(len(truth)) >= MISSING)
    boxes: list[NDArray[np.float32]] = []
    counts: list[bytes] = []
    labels: list[int] = []
    scores: list[float] = []
    for row in kept.tolist():
        box = truth.boxes[row]
        sides = np.tile(box[2:] - box[:2], 2)
        moved = np.clip(box + draw.normal(0, JITTER, 4) * sides, 0, [width, height, width, height])
        _add(truth, row, moved, boxes, counts)
        labels.append(int(truth.category_ids[row]))
        scores.append(draw.beta(*TRUE_SCORES))
    for _ in range(int((draw.random(len(kept)) < FALSE).sum())):
        n, row = every[draw.integers(len(every))]
        shape = frames[n].instances
        sides = shape.boxes[row, 2:] - shape.boxes[row, :2]
        corner = draw.uniform(0, np.maximum([width, height] - sides, 1))
        _add(shape, row, np.concatenate([corner, corner + sides]), boxes, counts)
        labels.append(int(shape.category_ids[row]))
        scores.append(draw.beta(*FALSE_SCORES))
    order = draw.permutation(len(boxes))
    seen = Instances(
        truth.image_size,
        np.array(boxes, np.float32).reshape(-1, 4)[order],
        np.array(scores, np.float32)[order],
        np.array(labels, np.int64)[order],
        RleMasks(tuple(counts[n] for n in order), truth.image_size),
    )
    ids = np.array([int(row[1]) for row in frame.rows], np.int64)
    assert truth.masks is not None  # noqa: S101 - KITTI MOTS has masks
    assert seen.masks is not None  # noqa: S101 - made above
    return CorruptedFrame(ids, truth, seen, truth.masks.iou(seen.masks))


def _add(
    shape: Instances, row: int, box: NDArray[np.floating], boxes: list[NDArray[np.float32]], counts: list[bytes]
) -> None:
    """Stretches the mask of an instance into another box."""
    assert isinstance(shape.masks, RleMasks)  # noqa: S101 - KITTI MOTS has run lengths
    height, width = shape.image_size
    whole = shape.masks.crop(row)
    x1, y1, x2, y2 = (round(float(v)) for v in shape.boxes[row])
    crop = whole.inside[y1 - whole.top : y2 - whole.top, x1 - whole.left : x2 - whole.left].astype(np.uint8)
    to_x1, to_y1, to_x2, to_y2 = (round(float(v)) for v in box)
    to_x1, to_y1 = min(max(to_x1, 0), width - 1), min(max(to_y1, 0), height - 1)
    to_x2, to_y2 = min(max(to_x2, to_x1 + 1), width), min(max(to_y2, to_y1 + 1), height)
    image = np.zeros((height, width), np.uint8, order="F")
    size = (to_x2 - to_x1, to_y2 - to_y1)
    image[to_y1:to_y2, to_x1:to_x2] = cv2.resize(crop, size, interpolation=cv2.INTER_NEAREST)
    boxes.append(np.array([to_x1, to_y1, to_x2, to_y2], np.float32))
    counts.append(coco_mask.encode(image)["counts"])
