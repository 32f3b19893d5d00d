"""Adds what a real camera adds: slight blur, dark corners, a tone curve and sensor noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_FIELDS = 4  # different noise images that frames take turns with


class Photograph:
    """Applies the camera's effects to frames of one size."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        y = (2 * np.arange(height) + 1 - height)[:, None]
        x = (2 * np.arange(width) + 1 - width)[None]
        corner = height * height + width * width
        lens = (256 - (x * x + y * y) * 28 // corner).astype(np.uint16)
        self._lens = np.repeat(lens[..., None], 3, axis=2)
        level = np.arange(256)
        # A gentle S: darker shadows, softer lights.
        curve = level + (level * (255 - level) * (level - 112)) // 220000
        self._curve = np.clip(curve, 0, 255).astype(np.uint8)
        rng = np.random.default_rng(seed)
        grain = rng.integers(-2, 3, (_FIELDS, height, width, 3), np.int16)
        grey = rng.integers(-3, 4, (_FIELDS, height, width, 1), np.int16)
        self._noise = (grain + grey) // 2

    def take(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """Returns the (H, W, 3) image as frame `index` of the recording."""
        soft = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.55), np.uint8)
        dimmed = ((soft * self._lens) >> 8).astype(np.uint8)
        toned = cv2.LUT(dimmed, self._curve)
        noise = np.roll(self._noise[index % _FIELDS], (index * 37) % len(image), axis=0)
        return np.asarray(cv2.add(toned, noise, dtype=cv2.CV_8U), np.uint8)
