"""KITTI MOTS: a text file for each camera, a row for each instance, no two of which share a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.kitti import Row, mots_row, write_kitti
from roadmask.streaming.formats.stored_mots import mots_frame
from roadmask.streaming.store import StoredFrame


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
