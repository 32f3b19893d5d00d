"""Rendered drives as training sets: exact masks, and rare things as often as one likes.

The sample drive that `make demo` and `make failures` show is evaluation data: its seed is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive import SampleDrive, SampleDriveConfig

EVALUATION_SEEDS = frozenset({SampleDriveConfig().seed})
"""Seeds of drives that measure, and are never learnt from."""
MIN_VISIBLE_PX = 30
"""Objects of which fewer pixels show are marked as crowds: neither right nor wrong."""


def write_rendered_set(
    folder: Path,
    config: SampleDriveConfig,
    frames: Sequence[int],
    *,
    allow_evaluation_seeds: bool = False,
    on_image: Callable[[], None] = lambda: None,
) -> None:
    """Renders frames of a drive into a training set in COCO's form.

    Args:
        folder: gets instances.json and images/; must not exist.
        config: of the drive.
        frames: to render.
        allow_evaluation_seeds: for tests of the training itself, whose weights nobody measures.
        on_image: called after each image.

    Raises:
        InputError: the folder exists, or the seed is one of an evaluation drive.
    """
    if config.seed in EVALUATION_SEEDS and not allow_evaluation_seeds:
        raise InputError(
            f"the drive with seed {config.seed} is evaluation data: choose another seed to train on, such as "
            f"{max(EVALUATION_SEEDS) + 1000}."
        )
    if folder.exists():
        raise InputError(f"expected {folder} not to exist yet: choose another folder, or remove it.")
    (folder / "images").mkdir(parents=True)
    drive = SampleDrive(config)
    images, annotations = [], list[dict[str, object]]()
    for number, frame in enumerate(frames, start=1):
        image, truth = drive.frame(frame)
        name = f"{config.view}-seed{config.seed}_{frame:05d}.png"
        if not cv2.imwrite(str(folder / "images" / name), image[..., ::-1]):
            raise InputError(f"cannot write {folder / 'images' / name}: is the disk full?")
        height, width = image.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        assert isinstance(truth.instances.masks, RleMasks)  # noqa: S101 - the drive's truth is exact
        for rle, area, category in zip(
            truth.instances.masks.coco, truth.instances.masks.area, truth.instances.category_ids, strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(category),
                    "segmentation": {"size": [height, width], "counts": rle["counts"].decode("ascii")},
                    "area": int(area),
                    "iscrowd": int(area < MIN_VISIBLE_PX),
                }
            )
        on_image()
    used = sorted({int(str(each["category_id"])) for each in annotations})
    categories = [{"id": category, "name": CLASS_NAMES[category]} for category in used]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document), encoding="utf-8")
