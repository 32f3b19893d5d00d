"""Stored drives as text files of KITTI MOTS, so that one set of rules measures both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InputError
from roadmask.streaming.store.layout import METADATA
from roadmask.streaming.store.reader import CameraReader, open_drive

MOTS_NUMBERS = {"car": 1, "pedestrian": 2}
"""Class name of a drive -> class number in KITTI MOTS; a drive's other classes are not measured."""


def is_drive(path: Path) -> bool:
    """Says whether there is a store at the path."""
    return (path / METADATA).is_file()


def write_drive_as_kitti_mots(path: Path, folder: Path) -> dict[str, Path]:
    """Writes a file for each camera: its tracks as rows, frames numbered by capture count.

    KITTI MOTS gives each pixel to one instance at most. Where masks overlap, the store's `labels` say whose it is.

    Args:
        path: of the drive.
        folder: to write to; made where it does not exist.

    Returns:
        Camera -> file.

    Raises:
        InputError: the drive has no camera, or its cameras no car and no pedestrian among their classes.
        StoreError: it cannot be read.
    """
    drive = open_drive(path)
    numbers = {label: MOTS_NUMBERS[name] for label, name in drive.class_names.items() if name in MOTS_NUMBERS}
    if not numbers:
        raise InputError(
            f"expected car or pedestrian among the classes of {path}, got {sorted(drive.class_names.values())}."
        )
    if not drive:
        raise InputError(f"expected a camera in {path}, found none: nothing was committed to it.")
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, camera in drive.items():
        files[name] = folder / f"{name}.txt"
        files[name].write_text("".join(_rows(camera, numbers)), encoding="ascii")
    return files


def _rows(camera: CameraReader, numbers: dict[int, int]) -> Iterator[str]:
    for position in range(len(camera)):
        frame = camera.frame(position)
        masks = frame.instances.masks
        tracked = np.flatnonzero(frame.track_ids > 0)
        if masks is None or not len(tracked):
            continue
        coco = masks.to_rle()[tracked].coco
        ids, labels = frame.track_ids[tracked], frame.instances.category_ids[tracked]
        if coco_mask.area(coco).sum() > coco_mask.area(coco_mask.merge(coco)):
            image = camera.id_map(position)
            coco = [coco_mask.encode(np.asfortranarray(image == track, np.uint8)) for track in ids.tolist()]
        height, width = frame.instances.image_size
        for rle, track, label in zip(coco, ids.tolist(), labels.tolist(), strict=True):
            if label in numbers and coco_mask.area(rle):
                yield f"{frame.frame_index} {track} {numbers[label]} {height} {width} {rle['counts'].decode('ascii')}\n"
