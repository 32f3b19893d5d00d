"""Real images of a folder, to measure a network on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from roadmask.engines.errors import InputError
from roadmask.engines.segmenter import Image

_SUFFIXES = {".jpg", ".jpeg", ".png"}


def chosen_images(folder: Path, count: int) -> list[Path]:
    """Returns at most so many images, evenly spread over the names in a folder.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of images of streets, got {folder}.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError(f"expected JPEG or PNG images in {folder}, there are none: name the folder they lie in.")
    return [files[place] for place in evenly_spread(len(files), count)]


def evenly_spread(there: int, count: int) -> list[int]:
    """Returns at most so many different places of 0 to `there` - 1, from the first to the last."""
    return [int(place) for place in np.linspace(0, there - 1, min(count, there)).round()]


def read_image(file: Path) -> Image:
    """Returns (H, W, 3) RGB.

    Raises:
        InputError: it is no image.
    """
    image = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise InputError(f"cannot read {file}: expected an image, JPEG or PNG.")
    return np.asarray(image, np.uint8)
