"""Names of the formats in which tracks are read. Needs nothing, so that a command line can offer them at once."""

from __future__ import annotations

from typing import Literal, get_args

KittiFormat = Literal["kitti-box", "kitti-mots"]
"""A format of KITTI's text files: boxes of its tracking benchmark, or masks of KITTI MOTS."""
KITTI_FORMATS: tuple[KittiFormat, ...] = get_args(KittiFormat)

TrackFormat = Literal[KittiFormat, "drive"]
"""A format in which tracks are read: one of KITTI's, or a stored drive."""
