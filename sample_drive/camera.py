"""A pinhole camera that looks along the street.

World: metres, x to the right of the driving direction, y up, z along the street. The camera turns about the vertical
axis only; it nods by shifting its horizon. So every row of the image sees the ground at one depth and every column
sees a wall at one depth, which lets the street be drawn from textures by rows and columns.

All arithmetic is element by element on float64 (no matrix products, whose order of additions differs between
machines), and results are rounded to fixed point before anything is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAR_METRES = 0.6
"""Minimum distance at which things are drawn, in metres; nothing in the drive comes nearer inside the field of view."""


def turn(angle: float) -> tuple[float, float]:
    """Returns cosine and sine of an angle in radians, rounded so that all mathematical libraries agree."""
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


@dataclass(frozen=True)
class Camera:
    """Where the camera is and what it sees.

    Attributes:
        x: metres to the right of the middle of the street.
        y: metres above the ground.
        z: metres along the street.
        yaw: radians to the right of the driving direction.
        focal: pixels.
        horizon: row of the image, from its top edge, in pixels.
        height: of the image, in pixels.
        width: of the image, in pixels.
    """

    x: float
    y: float
    z: float
    yaw: float
    focal: float
    horizon: float
    height: int
    width: int

    def depth(self, x: float, z: float) -> float:
        """Returns the distance in metres from the image plane to a point of the map."""
        cos, sin = turn(self.yaw)
        return (x - self.x) * sin + (z - self.z) * cos

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Projects points of the world.

        Args:
            points: (..., 3) x, y, z in metres.

        Returns:
            (..., 2) x and y in pixels from the top left corner of the image, and (...) depth in metres; places
            nearer than `NEAR_METRES` are projected as if they lay there.
        """
        cos, sin = turn(self.yaw)
        dx, dz = points[..., 0] - self.x, points[..., 2] - self.z
        depth = dx * sin + dz * cos
        scale = self.focal / np.maximum(depth, NEAR_METRES)
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.width / 2 + (dx * cos - dz * sin) * scale
        pixels[..., 1] = self.horizon - (points[..., 1] - self.y) * scale
        return pixels, depth
