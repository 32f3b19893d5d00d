"""Real images to measure engines with."""

from __future__ import annotations

import os
from pathlib import Path

from roadmask.engines.images import read_image
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.image_folder import chosen_images, evenly_spread
from roadmask.engines.segmenter import Image
from roadmask.sample_drive import SampleDrive


def street_images(count: int, shape: tuple[int, int]) -> tuple[str, list[Image]]:
    """Returns images of streets, letterboxed, and where they come from.

    Args:
        count: at most as many, spread evenly over what there is.
        shape: height and width they are fitted into.

    Returns:
        `coco_dev`, of the folder that the environment's ROADMASK_DATA names, where both exist, else `sample drive`.

    Raises:
        InputError: coco_dev has no images, or one cannot be read.
    """
    data = os.environ.get("ROADMASK_DATA")
    folder = Path(data) / "coco_dev" / "images" if data else None
    if folder is not None and folder.is_dir():
        name, found = "coco_dev", [read_image(file) for file in chosen_images(folder, count)]
    else:
        drive = SampleDrive()
        name, found = "sample drive", [drive.frame(index)[0] for index in evenly_spread(len(drive), count)]
    return name, [Letterbox.fit(image.shape[:2], shape).apply(image) for image in found]
