"""Real pictures to measure engines with."""

from __future__ import annotations

import os
from pathlib import Path

from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.image_folder import chosen_pictures, evenly_spread, read_picture
from roadmask.engines.segmenter import Image
from roadmask.sample_drive import SampleDrive


def street_pictures(count: int, shape: tuple[int, int]) -> tuple[str, list[Image]]:
    """Returns pictures of streets, letterboxed, and where they come from.

    Args:
        count: at most as many, spread evenly over what there is.
        shape: height and width they are fitted into.

    Returns:
        `coco_dev`, of the folder that the environment's ROADMASK_DATA names, where both exist, else `sample drive`.

    Raises:
        InputError: coco_dev has no pictures, or one cannot be read.
    """
    data = os.environ.get("ROADMASK_DATA")
    folder = Path(data) / "coco_dev" / "images" if data else None
    if folder is not None and folder.is_dir():
        name, found = "coco_dev", [read_picture(file) for file in chosen_pictures(folder, count)]
    else:
        drive = SampleDrive()
        name, found = "sample drive", [drive.frame(index)[0] for index in evenly_spread(len(drive), count)]
    return name, [Letterbox.fit(picture.shape[:2], shape).apply(picture) for picture in found]
