"""Reads and writes the text files of KITTI: boxes of its tracking benchmark, masks of KITTI MOTS.

Each row is one instance: frame, id, class; then, in KITTI tracking, truncation, occlusion, alpha, x1, y1, x2, y2, seven
fields of the 3D box and optionally a score; in KITTI MOTS, height, width and COCO's compressed run lengths. Ids are
ignored on reading. All other fields are written as they were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError, InstancesError
from roadmask.engines.files import replacing
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks

KITTI_IMAGE_SIZE = (375, 1242)
"""Height and width in pixels of most images of KITTI, which the text files of boxes do not state."""

BOX_CATEGORIES = {"car": CAR, "pedestrian": PEDESTRIAN}
"""Class in KITTI tracking, in lower case -> COCO category id."""
MOTS_CLASSES = {CAR: 1, PEDESTRIAN: 2}
"""COCO category id -> class in KITTI MOTS, which has no other classes; 10 marks regions to ignore."""
_MOTS_CATEGORIES = {str(number): category_id for category_id, number in MOTS_CLASSES.items()}

Row = tuple[str, ...]
"""The fields of one line: frame, track id, class, and what the format adds."""


@dataclass(frozen=True, eq=False)
class KittiFrame:
    """One frame of a sequence."""

    instances: Instances
    """Its cars and pedestrians; with score 1 where the file has no scores between 0 and 1."""
    rows: tuple[Row, ...]
    """Fields of the row of each instance."""


def sequence_files(folder: Path) -> dict[str, Path]:
    """Returns the sequences of a folder as name -> file.

    Args:
        folder: folder with 0000.txt, 0001.txt, ..., directly or in its subfolder `label_02` (ground truth) or `data`
            (results). Files with other names are used only if no name is a number.

    Raises:
        InputError: there is no sequence.
    """
    places = (folder, folder / "label_02", folder / "data")
    files = [{path.stem: path for path in sorted(place.glob("*.txt"))} for place in places]
    numbered = [{name: path for name, path in there.items() if name.isdigit()} for there in files]
    for found in (*numbered, *files):  # summaries may lie beside the folder of the sequences
        if found:
            return found
    raise InputError(
        f"expected a text file for each sequence in {folder}, such as 0000.txt, found none: check the folder."
    )


def read_kitti_box(path: Path, image_size: tuple[int, int] = KITTI_IMAGE_SIZE) -> list[KittiFrame]:
    """Reads the cars and pedestrians of a sequence in the format of KITTI tracking.

    KITTI leaves the scale of scores open: those of a file are used if all of them lie between 0 and 1.

    Args:
        path: text file of the sequence.
        image_size: height and width of the images in pixels.

    Returns:
        All frames from frame 0, including those without a row.

    Raises:
        InputError: the file cannot be read or has another format; the message names the line.
    """
    rows = [row for row in _rows(path, 17) if row[2].lower() in BOX_CATEGORIES]
    values = _numbers(path, [(*row[6:10], row[17] if len(row) > 17 else "1") for row in rows], 5)
    # A box beyond the edge of the image has its end before its start once it is clipped: it has no area.
    values[:, :2] = np.minimum(values[:, :2], values[:, 2:4])
    scores = values[:, 4]
    if not ((scores >= 0) & (scores <= 1)).all():
        scores = np.ones(len(rows))
    frames = []
    for own in _by_frame(path, rows):
        instances = Instances(
            image_size,
            values[own, :4].astype(np.float32),
            scores[own].astype(np.float32),
            np.array([BOX_CATEGORIES[rows[i][2].lower()] for i in own], np.int64),
        )
        frames.append(KittiFrame(instances, tuple(rows[i] for i in own)))
    return frames


def read_kitti_mots(path: Path) -> list[KittiFrame]:
    """Reads the cars and pedestrians of a sequence in the format of KITTI MOTS, without regions to ignore.

    Args:
        path: text file of the sequence.

    Returns:
        All frames from frame 0, including those without a row.

    Raises:
        InputError: the file cannot be read or has another format; the message names the line.
    """
    every = _rows(path, 6)
    sizes = {(row[3], row[4]) for row in every}
    if len(sizes) > 1:
        raise InputError(f"{path}: expected one image size, got {sorted(sizes)} (height, width): split the sequence.")
    try:
        image_size = tuple(int(side) for side in next(iter(sizes))) if sizes else KITTI_IMAGE_SIZE
        rows = [row for row in every if row[2] in _MOTS_CATEGORIES]
        height, width = image_size
        masks = RleMasks.from_coco([row[5] for row in rows], (height, width))
    except (InstancesError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    xywh = np.asarray(coco_mask.toBbox(masks.coco) if len(masks) else np.zeros((0, 4)), np.float32)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    frames = []
    for own in _by_frame(path, rows):
        instances = Instances(
            masks.image_size,
            boxes[own],
            np.ones(len(own), np.float32),
            np.array([_MOTS_CATEGORIES[rows[i][2]] for i in own], np.int64),
            masks[own],
        )
        frames.append(KittiFrame(instances, tuple(rows[i] for i in own)))
    return frames


def mots_row(frame: int, category_id: int, counts: bytes, image_size: tuple[int, int]) -> Row:
    """Returns a row of KITTI MOTS; `write_kitti` puts the track id into it.

    Args:
        frame: number of the frame.
        category_id: a key of `MOTS_CLASSES`.
        counts: COCO's compressed run lengths of the mask.
        image_size: height and width of the image in pixels.
    """
    height, width = image_size
    return str(frame), "0", str(MOTS_CLASSES[category_id]), str(height), str(width), counts.decode("ascii")


def write_kitti(path: Path, frames: Iterable[tuple[Sequence[Row], NDArray[np.int64]]]) -> None:
    """Writes rows with the ids of their tracks; rows without a track (id 0) are left out.

    Args:
        path: the file to write; it appears once it is whole.
        frames: rows of each frame as they were read or made, and their track ids. One frame is held at a time.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", encoding="ascii") as file:
        for rows, ids in frames:
            for row, track in zip(rows, ids.tolist(), strict=True):
                if track:
                    file.write(" ".join((row[0], str(track), *row[2:])) + "\n")


def _rows(path: Path, at_least: int) -> list[Row]:
    try:
        rows = [tuple(line.split()) for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}.") from error
    for number, row in enumerate(rows, 1):
        if len(row) < at_least or not row[0].isdigit():
            raise InputError(
                f"{path}:{number}: expected a frame number first and at least {at_least} fields in all, got "
                f"{len(row)}: {' '.join(row)[:60]!r}."
            )
    return rows


def _numbers(path: Path, texts: Sequence[Row], width: int) -> NDArray[np.float64]:
    try:
        values = np.array(texts, np.float64).reshape(-1, width)
    except ValueError as error:
        raise InputError(f"{path}: expected numbers for boxes and scores: {error}.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}: boxes and scores must be finite, got NaN or infinity: drop those rows first.")
    return values


def _by_frame(path: Path, rows: Sequence[Row]) -> list[NDArray[np.intp]]:
    """Returns the indices of the rows of each frame, from frame 0 to the last one."""
    numbers = np.array([int(row[0]) for row in rows], np.int64)
    if len(numbers) and numbers.max() > 10_000_000:
        raise InputError(f"{path}: expected frame numbers below 10,000,000, got {numbers.max()}.")
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange((numbers.max() if len(numbers) else -1) + 2))
    return [order[a:b] for a, b in pairwise(edges.tolist())]
