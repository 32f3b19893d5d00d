"""Files in which others keep detections and tracks."""

from __future__ import annotations

from typing import Literal

from roadmask.streaming.formats.kitti import (
    KITTI_FORMATS,
    KittiFormat,
    KittiFrame,
    read_kitti_box,
    read_kitti_mots,
    sequence_files,
    write_kitti,
)

TrackFormat = Literal[KittiFormat, "drive"]
"""In which tracks are read: one of KITTI's, or a drive of our own."""

__all__ = [
    "KITTI_FORMATS",
    "KittiFormat",
    "KittiFrame",
    "TrackFormat",
    "read_kitti_box",
    "read_kitti_mots",
    "sequence_files",
    "write_kitti",
]
