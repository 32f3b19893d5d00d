"""The tracks of a stored drive, as trackeval takes those of KITTI MOTS: straight from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.kitti_mots import mots_frame
from roadmask.streaming.formats.kitti import MOTS_CLASSES
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.drive_reader import open_drive
from roadmask.streaming.store.layout import METADATA


def is_drive(path: Path) -> bool:
    """Says whether there is a store at the path."""
    return (path / METADATA).is_file()


@dataclass(frozen=True)
class StoredSequence:
    """One camera of a drive as a sequence whose frames are numbered by capture count."""

    camera: CameraReader

    @property
    def frames(self) -> int:
        """Number of frames up to the last one that is stored."""
        return int(self.camera.epochs[-1].frame_index[-1]) + 1 if len(self.camera) else 0

    def trackeval_data(self, length: int) -> dict[str, list[Any]]:
        """Returns what trackeval reads from a file of KITTI MOTS, for `length` frames.

        See `mots_frame` for what belongs to whom where masks overlap.

        Returns:
            `ids` and `classes`, an array for each frame, and `dets`, a list of masks for each frame.
        """
        none = np.zeros(0, np.int64)
        data: dict[str, list[Any]] = {
            "ids": [none] * length,
            "classes": [none] * length,
            "dets": [[] for _ in range(length)],
        }
        for position in range(len(self.camera)):
            frame = mots_frame(self.camera.frame(position))
            data["ids"][frame.frame_index] = frame.track_ids
            data["classes"][frame.frame_index] = np.array(
                [MOTS_CLASSES[each] for each in frame.category_ids.tolist()], np.int64
            )
            data["dets"][frame.frame_index] = frame.masks.coco
        return data


TrackSource = Path | StoredSequence
"""Where the tracks of a sequence come from: a text file, or a camera of a drive."""


def read_drive(path: Path) -> dict[str, StoredSequence]:
    """Opens the cameras of a drive as sequences, by name.

    Raises:
        InputError: the drive has no camera, or neither cars nor pedestrians among its classes.
        StoreError: it cannot be read.
    """
    drive = open_drive(path)
    if not MOTS_CLASSES.keys() & drive.class_names.keys():
        raise InputError(
            f"expected car or pedestrian among the classes of {path}, got {sorted(drive.class_names.values())}: no "
            f"other class can be measured."
        )
    if not drive:
        raise InputError(f"expected a camera in {path}, found none: nothing was committed to it.")
    return {name: StoredSequence(camera) for name, camera in drive.items()}


def mots_dataset(
    trackeval: Any,
    config: Mapping[str, Any],
    truth: Mapping[str, TrackSource],
    results: Mapping[str, TrackSource],
) -> Any:
    """Returns trackeval's data set of KITTI MOTS, which takes stored sequences from their store and reads the rest.

    Args:
        trackeval: the module.
        config: what its data set takes.
        truth: ground truth by sequence.
        results: tracks by sequence.
    """

    class StoredMots(trackeval.datasets.KittiMOTS):  # type: ignore[misc]  # trackeval has no types
        def _load_raw_file(self, tracker: str, seq: str, is_gt: bool) -> dict[str, Any]:
            given = (truth if is_gt else results)[seq]
            if isinstance(given, Path):
                read: dict[str, Any] = super()._load_raw_file(tracker, seq, is_gt)
                return read
            length = self.seq_lengths[seq]
            side = "gt" if is_gt else "tracker"
            data = {f"{side}_{name}": values for name, values in given.trackeval_data(length).items()}
            if is_gt:
                data["gt_ignore_region"] = [coco_mask.merge([], intersect=False) for _ in range(length)]
            return {**data, "num_timesteps": length, "seq": seq}

    return StoredMots(dict(config))
