"""KITTI MOTS: a text file for each camera, one row an instance, no two of them on one pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roadmask.engines import RleMasks
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.store import StoredFrame
from roadmask.streaming.store.id_map import paint_id_map

_KINDS = {CAR: 1, PEDESTRIAN: 2}
"""COCO category id -> class of KITTI MOTS. Of others it knows nothing: they are left out."""


def write(job: ExportJob, path: Path) -> None:
    """Writes CAMERA.txt with rows of frame (capture count), track id, class, height, width, run lengths.

    Instances without a track and classes other than car and pedestrian are left out. Where masks overlap the higher
    score wins, then the lower id, as in the store's labels; a mask that loses every pixel is left out.
    """
    path.mkdir()
    files = {camera.name: (path / f"{camera.name}.txt").open("w", encoding="ascii") for camera in job.cameras}
    try:
        for camera, frame in job.frames():
            files[camera.name].writelines(_rows(frame))
    finally:
        for file in files.values():
            file.close()


def _rows(frame: StoredFrame) -> list[str]:
    chosen = np.flatnonzero((frame.track_ids > 0) & np.isin(frame.instances.category_ids, list(_KINDS)))
    if not len(chosen):
        return []
    seen, ids = frame.instances[chosen], frame.track_ids[chosen]
    assert seen.masks is not None  # noqa: S101 - a store keeps masks
    masks = seen.masks.to_rle()
    painted = np.empty(seen.image_size, np.uint32)
    paint_id_map(masks, ids, seen.scores, painted)
    left = dict(zip(*(values.tolist() for values in np.unique(painted, return_counts=True)), strict=True))
    height, width = seen.image_size
    rows = []
    for n, (track_id, area) in enumerate(zip(ids.tolist(), masks.area.tolist(), strict=True)):
        if not left.get(track_id):
            continue
        whole = left[track_id] == area
        counts = (masks if whole else RleMasks.from_dense((painted == track_id)[None], seen.image_size)).counts
        kind = _KINDS[int(seen.category_ids[n])]
        rows.append(
            f"{frame.frame_index} {track_id} {kind} {height} {width} {counts[n if whole else 0].decode('ascii')}\n"
        )
    return rows
