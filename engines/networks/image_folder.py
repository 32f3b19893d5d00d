"""Chooses images of a folder, to measure a network on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roadmask.engines.errors import InputError

_SUFFIXES = {".jpg", ".jpeg", ".png"}


def chosen_images(folder: Path, count: int) -> list[Path]:
    """Returns at most `count` image files of a folder, spread evenly over its sorted names.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of street images, there is no folder {folder}.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError(f"expected JPEG or PNG images in {folder}, there are none: give the folder that holds them.")
    return [files[position] for position in evenly_spread(len(files), count)]


def evenly_spread(length: int, count: int) -> list[int]:
    """Returns at most `count` different positions of 0 to `length` - 1, from the first to the last, spread evenly."""
    return [int(position) for position in np.linspace(0, length - 1, min(count, length)).round()]
