"""Real pictures to measure engines with."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from roadmask.demos.sample_drive import SampleDrive
from roadmask.engines.errors import SourceError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.segmenter import Image


def street_pictures(count: int, shape: tuple[int, int]) -> tuple[str, list[Image]]:
    """Returns pictures of streets, letterboxed, and where they come from.

    Args:
        count: at most as many, spread evenly over what there is.
        shape: height and width they are fitted into.

    Returns:
        `coco_dev`, of the folder that the environment's ROADMASK_DATA names, where it exists, else `sample drive`.
    """
    files = sorted((Path(os.environ.get("ROADMASK_DATA", "../shared/data")) / "coco_dev" / "images").glob("*.jpg"))
    if files:
        name, found = "coco_dev", [_read(files[index]) for index in _spread(len(files), count)]
    else:
        drive = SampleDrive()
        name, found = "sample drive", [drive.frame(index)[0] for index in _spread(len(drive), count)]
    return name, [Letterbox.fit(picture.shape[:2], shape).apply(picture) for picture in found]


def _read(file: Path) -> Image:
    encoded = cv2.imread(str(file))
    if encoded is None:
        raise SourceError(f"expected a picture, {file} cannot be read: copy it again.")
    return np.asarray(cv2.cvtColor(encoded, cv2.COLOR_BGR2RGB), np.uint8)


def _spread(there: int, count: int) -> range:
    return range(0, there, max(1, there // count))[:count]
