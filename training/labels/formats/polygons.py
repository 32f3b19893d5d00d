"""Masks as polygons and back, with holes and separate parts, without losing a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks

Ring = NDArray[np.float64]
"""(P, 2) corners x, y in pixels, where a pixel is one wide and its left edge lies at its number."""


def rings_of(counts: bytes, image_size: tuple[int, int]) -> list[Ring]:
    """Returns the outlines of all parts of a mask, and of all holes in them.

    They run a quarter of a pixel inside the mask, so that every pixel's centre is on its side of them: `mask_of_rings`
    returns the same mask, and so does every rasterizer that asks where a pixel's centre lies.

    Args:
        counts: COCO's compressed run lengths.
        image_size: height and width of the image in pixels.
    """
    crop = RleMasks((counts,), image_size).crop(0)
    if not crop.inside.size:
        return []
    # Contours pass through the centres of pixels; at double resolution that is a quarter of a pixel inside the edge.
    inside = np.repeat(np.repeat(crop.inside.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [(contour.reshape(-1, 2) + 0.5) / 2 + (crop.left, crop.top) for contour in contours if len(contour) > 2]


def mask_of_rings(rings: Sequence[Sequence[Sequence[float]] | Ring], image_size: tuple[int, int]) -> bytes:
    """Returns the mask of polygons: pixels whose centre is inside an odd number of them, as COCO's run lengths.

    So a ring in another one is a hole, and one beside it is a further part.

    Args:
        rings: each (P, 2) corners x, y in pixels; they may leave the image.
        image_size: height and width of the image in pixels.

    Raises:
        InputError: a ring has fewer than three corners, or one that is not finite.
    """
    height, width = image_size
    crossings = np.zeros((height, width + 1), np.int32)
    for given in rings:
        ring = np.asarray(given, np.float64).reshape(-1, 2)
        if len(ring) < 3:
            raise InputError(f"expected a polygon of three corners or more, got {len(ring)}")
        if not (np.abs(ring) < 1e6).all():
            raise InputError("expected a polygon with finite corners, got NaN, infinity or more than a million pixels")
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            # Rows whose centres the edge passes; from the pixel whose centre is right of it on, inside changes.
            low, high = min(y1, y2), max(y1, y2)
            first, last = max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height)
            rows = np.arange(first, last)
            if len(rows):
                x = x1 + (rows + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
                crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    inside = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return RleMasks.from_dense(inside[None], image_size).counts[0]
