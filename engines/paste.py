"""Box-local masks into the picture, touching only the pixels a box covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.run_lengths import Integers, Spans, join, spans_of_columns

_FAR = np.float32(1e9)
"""Boxes farther out than this many pixels count as lying there, so that they convert to integers."""

Floats = NDArray[np.float32]


def paste(probabilities: Floats, boxes: Floats, image_size: tuple[int, int], threshold: float) -> Spans:
    """Draws masks as torchvision's `paste_masks_in_image` does, then `>= threshold`.

    The grid gets a border of one empty cell, the box grows by as much and is truncated to whole pixels with both edges
    inside, and the grid is stretched over it bilinearly (pixel centres aligned, no antialiasing). Only the part of
    the box inside the picture is ever computed.

    Args:
        probabilities: (N, M, M), 0 to 1.
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        image_size: height and width of the picture.
        threshold: lowest probability inside a mask.
    """
    height, width = image_size
    side = probabilities.shape[-1] + 2
    padded = np.pad(probabilities, ((0, 0), (1, 1), (1, 1)))
    lows, highs = _grown(boxes, np.float32(side / probabilities.shape[-1]))
    parts: list[tuple[Integers, Integers]] = []
    for grid, (left, top), (right, bottom) in zip(padded, lows.tolist(), highs.tolist(), strict=True):
        # Height first, so that the crop comes out column by column.
        rows = _stretch(grid, top, bottom, height)
        crop = _stretch(np.ascontiguousarray(rows.T), left, right, width) >= threshold
        column, above, below = spans_of_columns(crop)
        start = (column + max(left, 0)) * height + max(top, 0)
        parts.append((start + above, start + below))
    return join(parts)


def _grown(boxes: Floats, scale: np.float32) -> tuple[Integers, Integers]:
    """Returns the first and the last pixel x, y, (N, 2) each, of boxes grown about their centre."""
    boxes = np.clip(boxes, -_FAR, _FAR)
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * scale
    centre = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    return (centre - half).astype(np.int64), (centre + half).astype(np.int64)


def _stretch(grid: Floats, first: int, last: int, size: int) -> Floats:
    """Stretches the rows of a grid over pixels first..last and returns those of 0..size - 1 among them."""
    side, length = len(grid), max(last - first + 1, 1)
    pixels = np.arange(max(-first, 0), min(length, size - first), dtype=np.float32)
    source = np.maximum(np.float32(side / length) * (pixels + np.float32(0.5)) - np.float32(0.5), np.float32(0))
    low = source.astype(np.intp)
    part = (source - low)[:, None].astype(np.float32)
    stretched: Floats = grid[low] * (1 - part) + grid[np.minimum(low + 1, side - 1)] * part
    return stretched
