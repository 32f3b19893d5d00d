"""KITTI MOTS: a text file for each camera, a row for each instance, no two of which share a pixel.

`mots_frame` also gives the instances that are measured, so that what is exported is what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.kitti import MOTS_CLASSES, Row, mots_row, write_kitti
from roadmask.streaming.store import StoredFrame
from roadmask.streaming.store.id_map import visible_masks


@dataclass(frozen=True, eq=False)
class MotsFrame:
    """The tracked cars and pedestrians of one frame, no two of which share a pixel."""

    frame_index: int
    """Capture count of the frame."""
    track_ids: NDArray[np.int64]
    """(N,) ids of their tracks, unique within the frame."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids; keys of `MOTS_CLASSES`."""
    masks: RleMasks
    """N masks, none of them empty."""


def mots_frame(frame: StoredFrame) -> MotsFrame:
    """Takes the tracked cars and pedestrians out of a stored frame.

    A pixel belongs to the tracked instance with the highest score, whatever its class, as in the store's id map: a car
    loses the pixels that a bus with a higher score covers. An instance that loses every pixel is left out, and so is
    one without a track.

    Raises:
        InstancesError: a mask does not fill the image.
    """
    seen, ids = frame.instances, frame.track_ids.astype(np.int64)
    assert seen.masks is not None  # noqa: S101 - a store keeps masks
    masks = seen.masks.to_rle()
    chosen = (ids > 0) & np.isin(seen.category_ids, list(MOTS_CLASSES))
    if chosen.any():
        masks = visible_masks(masks, ids, seen.scores)
        chosen &= masks.area > 0
    rows = np.flatnonzero(chosen)
    return MotsFrame(frame.frame_index, ids[rows], seen.category_ids[rows], masks[rows])


def write(job: ExportJob, path: Path) -> None:
    """Writes CAMERA.txt with rows of frame (capture count), track id, class, height, width, run lengths.

    Instances without a track and classes other than car and pedestrian have no row; see `mots_frame` for masks that
    overlap.
    """
    path.mkdir()
    for camera in job.cameras:
        write_kitti(path / f"{camera.name}.txt", map(_rows, job.frames_of(camera)))


def _rows(stored: StoredFrame) -> tuple[list[Row], NDArray[np.int64]]:
    frame = mots_frame(stored)
    rows = [
        mots_row(frame.frame_index, category_id, counts, frame.masks.image_size)
        for category_id, counts in zip(frame.category_ids.tolist(), frame.masks.counts, strict=True)
    ]
    return rows, frame.track_ids
