"""Adds rain to a frame of a dry day: grey light, a wet road, spray, streaks, and drops on the windscreen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import Floats
from roadmask.sample_drive.shot import Shot

_AIR = np.array((150.0, 156.0, 162.0))
"""Colour (RGB) of the haze, to which distant things fade."""
_SEEN_FAR = 85.0
"""Distance in metres at which rain and spray leave about a third of the contrast."""
_LIGHT = 0.62  # of the dry day's
_COLOUR = 0.70  # of the dry day's saturation
_WET = 0.62  # how bright wet asphalt is, beside dry
_MIRROR = 0.42  # share of light that the wet road reflects far away
_STREAKS = 650
_DROPS = 60


def rain(shot: Shot, seed: int = 0) -> NDArray[np.uint8]:
    """Returns the frame as the same camera would take it in heavy rain, (H, W, 3) RGB.

    Args:
        shot: a frame of a dry day.
        seed: of where drops and streaks are.
    """
    rng = np.random.default_rng(seed)
    image = shot.image.astype(np.float64)
    grey = image.mean(axis=2, keepdims=True)
    image = (grey + (image - grey) * _COLOUR) * _LIGHT
    image[~np.isfinite(shot.depth)] = _AIR
    image = _wetted(image, shot)
    clear = np.exp(-np.minimum(shot.depth, 1e4) / _SEEN_FAR)[..., None]
    image = image * clear + _AIR * (1 - clear)
    image = _streaked(image, rng)
    image = _through_drops(image, rng)
    noise = rng.normal(size=image.shape) * 2.5
    return np.asarray(np.clip(np.rint(image + noise), 0, 255), np.uint8)


def _wetted(image: Floats, shot: Shot) -> Floats:
    """Darkens the ground and adds reflections of the things on it, blurred vertically by its roughness."""
    camera = shot.camera
    height, width = shot.depth.shape
    rows = np.arange(height, dtype=np.float32)[:, None]
    # The foot of whatever is farthest down the column above the ground: mirrored rows are as far below it.
    foot = np.full((height, width), np.float32(camera.horizon))
    standing = ~shot.ground
    for row in range(1, height):
        foot[row] = np.where(standing[row - 1], row - 0.5, foot[row - 1])
    above = np.clip(2 * foot - rows, 0, height - 1).astype(np.float32)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32)[None], above.shape)
    mirrored = cv2.remap(image, np.ascontiguousarray(columns), above, cv2.INTER_LINEAR)
    mirrored = cv2.blur(mirrored, (3, 21))
    grazing = np.clip(shot.depth / 18.0, 0.12, 1.0)[..., None]
    share = _MIRROR * grazing
    wet = image * _WET * (1 - share) + mirrored * share
    return np.asarray(np.where(shot.ground[..., None], wet, image))


def _streaked(image: Floats, rng: np.random.Generator) -> Floats:
    """Adds falling drops as streaks; near drops make longer and less sharp streaks."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    slant = float(rng.uniform(-0.18, 0.18))
    scale = height / 384
    for _ in range(_STREAKS):
        x, y = float(rng.uniform(-20, width + 20)), float(rng.uniform(-30, height))
        near = float(rng.random()) ** 3
        length = (8 + 44 * near) * scale
        tone = int(70 + 90 * float(rng.random()))
        start, end = (round(x * 16), round(y * 16)), (round((x + slant * length) * 16), round((y + length) * 16))
        cv2.line(layer, start, end, (tone,), 2 if near > 0.8 else 1, cv2.LINE_AA, 4)
    share = cv2.GaussianBlur(layer, (0, 0), 0.8 * scale)[..., None] / 255.0 * 0.38
    return np.asarray(image * (1 - share) + 222.0 * share, np.float64)


def _through_drops(image: Floats, rng: np.random.Generator) -> Floats:
    """Adds a wet windscreen: a film of water that blurs everything, and drops."""
    height, width = image.shape[:2]
    scale = height / 384
    soft = cv2.GaussianBlur(image, (0, 0), 0.8 * scale)
    film = cv2.GaussianBlur(image, (0, 0), 9 * scale)
    result = soft * 0.88 + film * 0.12
    # A drop bends light so far that its upper half shows the dark road and its lower half the bright sky.
    cover, tone = np.zeros((height, width), np.uint8), film.copy()
    rows = np.arange(height)[:, None, None]
    for _ in range(_DROPS):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        radius = (1.5 + 8 * float(rng.random()) ** 4) * scale
        wide, tall = radius, radius * float(rng.uniform(1.0, 1.4))
        parts = [(0.0, 0.0, 1.0), *((*rng.uniform(-0.4, 0.4, 2).tolist(), 0.8) for _ in range(2))]
        drop = np.zeros((height, width), np.uint8)
        for dx, dy, size in parts:  # a few discs that ran together
            centre = (round((x + dx * wide) * 16), round((y + dy * tall) * 16))
            axes = (round(wide * size * 16), round(tall * size * 16))
            cv2.ellipse(drop, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
        lower = np.clip((rows - y) / (2 * tall) + 0.5, 0.0, 1.0)
        shown = cv2.dilate(drop, np.ones((5, 5), np.uint8)) > 0
        tone[shown] = np.broadcast_to(52.0 * (1 - lower) + (_AIR + 30) * lower, tone.shape)[shown]
        np.maximum(cover, drop, out=cover)
    share = cv2.GaussianBlur(cover, (0, 0), 1.2 * scale)[..., None] / 255.0 * 0.6
    return np.asarray(result * (1 - share) + (0.75 * tone + 0.25 * film) * share)
