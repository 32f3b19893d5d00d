"""Small scenes for the tracker: boxes on a line, and what a frame of them looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks

SIZE = (200, 400)
CAR, PEDESTRIAN = 3, 1
MS = 1_000_000


def frame(
    *boxes: Sequence[float],
    category_ids: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    masks: bool = False,
    size: tuple[int, int] = SIZE,
) -> Instances:
    """Instances with these xyxy boxes; cars of score 0.9 unless told, each filling its box if it has a mask."""
    count = len(boxes)
    xyxy = np.array(boxes, np.float32).reshape(count, 4)
    return Instances(
        size,
        xyxy,
        np.array(scores if scores is not None else [0.9] * count, np.float32),
        np.array(category_ids if category_ids is not None else [CAR] * count, np.int64),
        _filled(xyxy, size) if masks else None,
    )


def _filled(boxes: NDArray[np.float32], size: tuple[int, int]) -> RleMasks:
    dense = np.zeros((len(boxes), *size), np.bool_)
    for image, (x1, y1, x2, y2) in zip(dense, np.rint(boxes).astype(int).clip(0), strict=True):
        image[y1:y2, x1:x2] = True
    return RleMasks.from_dense(dense, size)


def square(x: float, y: float = 50, side: float = 40) -> tuple[float, float, float, float]:
    """A square box by its top left corner."""
    return x, y, x + side, y + side
