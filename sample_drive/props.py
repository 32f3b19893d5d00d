"""Things along the street that are neither cars nor pedestrians: trees and lamp posts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import NEAR_METRES, Camera
from roadmask.sample_drive.light import hazed
from roadmask.sample_drive.paint import FINENESS, Canvas, to_canvas
from roadmask.sample_drive.street import HAZE, haze_share
from roadmask.sample_drive.textures import halved

TREE_HEIGHT, TREE_WIDTH = 7.0, 4.6
"""Width and height of a tree's image in metres."""
_SIDE = 448


class TreeImage:
    """A tree as a flat image that always faces the camera."""

    def __init__(self, rng: np.random.Generator) -> None:
        image = np.zeros((_SIDE, _SIDE, 4), np.uint8)
        middle = _SIDE // 2
        bark = np.linspace(96, 52, 17).astype(int).tolist()
        for i, tone in enumerate(bark):  # the trunk, lighter on the left
            x = middle - 9 + i
            cv2.line(image, (x, _SIDE - 1), (middle - 4 + i // 2, 150), (tone, tone - 12, tone - 24, 255), 2)
        for _ in range(2600):  # leaves, the lower and the righter the darker
            across, up = (int(v) for v in rng.integers(-1000, 1001, 2))
            if across * across + up * up > 1000 * 1000:
                continue
            x, y = middle + across * 205 // 1000, 138 + up * 128 // 1000
            tone = 92 - across * 22 // 1000 - up * 34 // 1000 + int(rng.integers(-22, 23))
            size = int(rng.integers(3, 9))
            cv2.circle(image, (x, y), size, (tone * 78 // 100, tone, tone * 48 // 100, 255), -1)
        self._levels = [image]
        while len(self._levels) < 5:
            self._levels.append(halved(self._levels[-1], rows=True, columns=True))

    def paint(self, canvas: Canvas, camera: Camera, x: float, z: float, size: float) -> None:
        """Paints a tree, `size` times as large as usual; it covers things behind it and belongs to no object."""
        foot, depth = camera.project(np.array((x, 0.0, z)))
        metres = float(depth)
        if metres < NEAR_METRES * 2:
            return
        scale = camera.focal / metres * size
        left, top = float(foot[0]) - TREE_WIDTH / 2 * scale, float(foot[1]) - TREE_HEIGHT * scale
        region = canvas.region(left, top, left + TREE_WIDTH * scale, float(foot[1]))
        if region is None:
            return
        wanted = _SIDE / (TREE_HEIGHT * scale * FINENESS)
        level = min(max(round(wanted).bit_length() - 1, 0), len(self._levels) - 1)
        image = self._levels[level]
        rows = _places(region[0], top, TREE_HEIGHT * scale, len(image))
        columns = _places(region[1], left, TREE_WIDTH * scale, len(image))
        share = np.uint16(haze_share(np.array(metres)))
        air = np.array((*HAZE, 0), np.uint16) * share
        faded = ((image * (np.uint16(256) - share) + air) >> 8).astype(np.uint8)
        faded[..., 3] = 0  # the id of no object
        leaves = faded.view(np.uint32)[..., 0][rows[:, None], columns]
        shown = image[..., 3][rows[:, None], columns] > 127
        canvas.pixels.view(np.uint32)[..., 0][region][shown] = leaves[shown]


def _places(part: slice, start: float, length: float, side: int) -> NDArray[np.intp]:
    """Returns the pixel, of an image with `side` pixels, that each canvas pixel of a range shows."""
    pixels = (np.arange(part.start, part.stop) + 0.5) / FINENESS
    return np.clip(np.floor((pixels - start) * (side / length)), 0, side - 1).astype(np.intp)


@dataclass(frozen=True)
class _Bar:
    """A straight piece of a lamp post: both ends in metres right of and above its foot, and its width in metres."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float


def paint_lamp(canvas: Canvas, camera: Camera, x: float, z: float) -> None:
    """Paints a lamp post whose arm reaches over the road; it belongs to no object."""
    towards = -1.0 if x > 0 else 1.0
    bars = (
        _Bar((0.0, 0.0), (0.0, 1.0), 0.11),
        _Bar((0.0, 1.0), (0.0, 6.0), 0.065),
        _Bar((0.0, 6.0), (towards * 1.3, 6.35), 0.05),
        _Bar((towards * 1.0, 6.30), (towards * 1.7, 6.38), 0.11),
    )
    corners, depths, tones = [], [], []
    for bar in bars:
        upright = abs(bar.end[1] - bar.start[1]) > abs(bar.end[0] - bar.start[0])
        for share, tone in ((1.0, 64.0), (0.35, 104.0)):
            half = bar.width * share
            step = (half, 0.0) if upright else (0.0, half)
            ends = [
                (end[0] + sign * step[0], end[1] + sign * step[1])
                for end, sign in ((bar.start, -1), (bar.start, 1), (bar.end, 1), (bar.end, -1))
            ]
            pixels, depth = camera.project(np.array([(x + dx, y, z) for dx, y in ends]))
            corners.append(to_canvas(pixels))
            depths.append(float(depth.min()))
            tones.append((tone, tone + 2, tone + 4))
    if min(depths) > NEAR_METRES:
        canvas.polygons(corners, hazed(np.array(tones), np.array(depths)), 0)
