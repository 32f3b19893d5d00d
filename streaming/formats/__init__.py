"""Formats of other tools: detections and tracks that are read, and exports that are written.

The names below need nothing, so that a command line can offer them without loading numpy.
"""

from __future__ import annotations

from typing import Literal, get_args

KittiFormat = Literal["kitti-box", "kitti-mots"]
"""A format of KITTI's text files: boxes of its tracking benchmark, or masks of KITTI MOTS."""
KITTI_FORMATS: tuple[KittiFormat, ...] = get_args(KittiFormat)

TrackFormat = Literal[KittiFormat, "drive"]
"""A format in which tracks are read: one of KITTI's, or a stored drive."""
