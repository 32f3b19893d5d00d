"""KITTI MOTS: a text file for each drive, cars and pedestrians only, no two of which share a pixel."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.kitti import MOTS_CLASSES, mots_row, read_kitti_mots, sequence_files, write_kitti
from roadmask.streaming.store.id_map import visible_masks
from roadmask.training.labels.formats.interchange import ForeignImage, ForeignLabel, ForeignLabels
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import Label, LabelledImage


def write(labels: LabelSet, path: Path) -> None:
    """Writes DRIVE.txt for each drive; a pixel that two labels claim goes to the one with the higher score.

    Crowds and classes other than car and pedestrian have no row.
    """
    path.mkdir()
    by_drive: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in labels.images.values():
        by_drive[image.drive].append(image)
    for drive, images in by_drive.items():
        write_kitti(path / f"{drive}.txt", (_rows(labels, image) for image in images))


def _rows(labels: LabelSet, image: LabelledImage) -> tuple[list[tuple[str, ...]], np.ndarray]:
    classes = labels.description.classes
    seen: list[Label] = [
        label for label in labels.by_image[image.key] if not label.crowd and classes[label.class_name] in MOTS_CLASSES
    ]
    ids = np.array([label.object for label in seen], np.int64)
    masks = RleMasks(tuple(label.counts for label in seen), image.size)
    if len(seen) > 1:
        masks = visible_masks(masks, ids, np.array([label.score for label in seen], np.float32))
    kept = np.flatnonzero(masks.area > 0) if seen else np.zeros(0, np.int64)
    rows = [mots_row(image.frame, classes[seen[n].class_name], masks.counts[n], image.size) for n in kept.tolist()]
    return rows, ids[kept]


def read(path: Path, drive: str) -> ForeignLabels:
    """Reads a folder of sequences, or one file; regions to ignore are left out.

    Args:
        path: folder with a text file for each drive, or a single file.
        drive: name of the drive if `path` is a file.

    Raises:
        InputError: a file cannot be read or has another format; the message names the line.
    """
    images: list[ForeignImage] = []
    labels: list[ForeignLabel] = []
    for name, file in ({drive: path} if path.is_file() else sequence_files(path)).items():
        for number, frame in enumerate(read_kitti_mots(file)):
            images.append(ForeignImage(f"{name}/{number:06d}.png", frame.instances.image_size, name, number))
            masks = frame.instances.masks
            if masks is None:
                raise InputError(f"{file}: expected masks, got boxes alone.")
            for row, category, counts in zip(
                frame.rows, frame.instances.category_ids.tolist(), masks.to_rle().counts, strict=True
            ):
                labels.append(ForeignLabel(len(images) - 1, int(row[1]), CLASS_NAMES[category], counts))
    return ForeignLabels(tuple(images), tuple(labels))
