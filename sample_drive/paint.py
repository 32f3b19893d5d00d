"""The canvas: colour and object id in one image, twice as fine as the frame.

The fourth channel carries the id of the object whose paint lies on top, so one call draws both and the masks are
exact by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import Floats

FINENESS = 2
"""Number of canvas pixels per frame pixel, in each direction."""
_SHIFT = 4
"""Number of fractional bits of coordinates on the canvas."""

Polygon = NDArray[np.int32]


def to_canvas(pixels: Floats) -> Polygon:
    """Turns pixels of the frame into the canvas's fixed-point coordinates (pixel centres at whole numbers)."""
    return np.rint((pixels * FINENESS - 0.5) * (1 << _SHIFT)).astype(np.int32)


@dataclass(frozen=True)
class Canvas:
    """The canvas on which things are painted, the farthest first."""

    pixels: NDArray[np.uint8]
    """(H * FINENESS, W * FINENESS, 4) red, green, blue and object id."""

    @classmethod
    def blank(cls, height: int, width: int) -> Canvas:
        """Returns a black canvas for a frame of this size."""
        return cls(np.zeros((height * FINENESS, width * FINENESS, 4), np.uint8))

    @classmethod
    def over(cls, background: NDArray[np.uint8]) -> Canvas:
        """Returns a canvas with an (H, W, 3) background that belongs to no object."""
        height, width = background.shape[:2]
        with_id = np.zeros((height, width, 4), np.uint8)
        cv2.mixChannels([background], [with_id], [0, 0, 1, 1, 2, 2])
        packed = np.repeat(with_id.view(np.uint32)[..., 0], FINENESS, axis=1)
        fine = np.empty((height, FINENESS, width * FINENESS), np.uint32)
        fine[...] = packed[:, None]
        return cls(fine.reshape(height * FINENESS, width * FINENESS, 1).view(np.uint8))

    def polygons(self, corners: Sequence[Polygon] | Polygon, colours: NDArray[np.uint8], object_id: int) -> None:
        """Paints convex polygons in order.

        Args:
            corners: K polygons, each (C, 2) from `to_canvas`.
            colours: (K, 3) red, green, blue.
            object_id: 1 to 255; 0 for what belongs to no object.
        """
        fill, pixels = cv2.fillConvexPoly, self.pixels
        for polygon, (red, green, blue) in zip(corners, colours.tolist(), strict=True):
            fill(pixels, polygon, (red, green, blue, object_id), cv2.LINE_8, _SHIFT)

    def region(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice] | None:
        """Returns rows and columns of the canvas that a box of frame pixels touches; None outside the image."""
        height, width = self.pixels.shape[:2]
        x1, x2 = max(int(left * FINENESS) - 2, 0), min(int(right * FINENESS) + 3, width)
        y1, y2 = max(int(top * FINENESS) - 2, 0), min(int(bottom * FINENESS) + 3, height)
        return (slice(y1, y2), slice(x1, x2)) if x1 < x2 and y1 < y2 else None

    def frame(self) -> NDArray[np.uint8]:
        """Returns the (H, W, 3) colours, averaged over each pixel."""
        height, width = self.pixels.shape[:2]
        size = (width // FINENESS, height // FINENESS)
        mean = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(mean, cv2.COLOR_RGBA2RGB), np.uint8)

    def ids(self) -> NDArray[np.uint8]:
        """Returns (H, W) id of the object that covers most of each pixel; of two equal parts, the higher id."""
        ids = self.pixels[..., 3]
        a, b, c, d = ids[::2, ::2], ids[::2, 1::2], ids[1::2, ::2], ids[1::2, 1::2]
        low, high = np.maximum(np.minimum(a, b), np.minimum(c, d)), np.minimum(np.maximum(a, b), np.maximum(c, d))
        return np.maximum(low, high)
