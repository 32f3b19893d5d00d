"""Files in which others keep detections and tracks."""

from __future__ import annotations

from roadmask.streaming.formats.kitti import (
    KITTI_FORMATS,
    KittiFormat,
    KittiFrame,
    read_kitti_box,
    read_kitti_mots,
    sequence_files,
    write_kitti,
)

__all__ = [
    "KITTI_FORMATS",
    "KittiFormat",
    "KittiFrame",
    "read_kitti_box",
    "read_kitti_mots",
    "sequence_files",
    "write_kitti",
]
