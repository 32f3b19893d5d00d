"""Rows for boxes that were not detected: filled gaps of a track, and coasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats import KittiFormat
from roadmask.streaming.formats.kitti import KittiFrame, Row
from roadmask.tracking import Filled

Filling = list[tuple[Row, int]]
"""Rows to add to a frame, each with its track id."""


def filled_rows(frames: list[KittiFrame], filled: Filled, kind: KittiFormat, *, every: int = 1) -> list[Filling]:
    """Turns filled boxes into rows of a format.

    A row takes all fields but frame, id, box and mask from the nearest sighting of its track. Its mask is that of the
    sighting, moved to the centre of the box, without the pixels of other instances of the frame, because masks of KITTI
    MOTS never overlap. An empty mask gives no row.

    Args:
        frames: frames of the sequence.
        filled: boxes of tracks in frames in which they were not detected.
        kind: format of the rows.
        every: distance of two of `frames` in frames of the file.
    """
    rows: list[Filling] = [[] for _ in frames]
    for n in range(len(filled)):
        frame, (near, row) = int(filled.frames[n]), filled.nearest[n].tolist()
        like = frames[near].rows[row]
        head = (str(frame * every), like[1], *like[2:])
        if kind == "kitti-box":
            box = tuple(f"{value:.2f}" for value in filled.boxes[n].tolist())
            made = (*head[:6], *box, *head[10:])
        else:
            counts = _moved_mask(frames, filled, n, [RleMasks((r[5].encode(),), _size(r)) for r, _ in rows[frame]])
            if counts is None:
                continue
            made = (*head[:5], counts)
        rows[frame].append((made, int(filled.track_ids[n])))
    return rows


def _size(row: Row) -> tuple[int, int]:
    return int(row[3]), int(row[4])


def _moved_mask(frames: list[KittiFrame], filled: Filled, n: int, added: list[RleMasks]) -> str | None:
    """Returns the run lengths of the n-th filled mask; None where other instances cover all of it."""
    near, row = filled.nearest[n].tolist()
    seen, frame = frames[near].instances[[row]], frames[int(filled.frames[n])].instances
    moved = moved_mask(seen, filled.boxes[n], [*([] if frame.masks is None else [frame.masks.to_rle()]), *added])
    return None if moved is None else moved.counts[0].decode("ascii")


def moved_mask(seen: Instances, box: NDArray[np.floating], others: Sequence[RleMasks]) -> RleMasks | None:
    """Returns the mask of a single instance, moved to the centre of a box, without the pixels of other masks.

    Returns:
        One mask; None where no pixel is left.

    Raises:
        TypeError: the mask is not given as run lengths.
    """
    if not isinstance(seen.masks, RleMasks):
        raise TypeError("expected masks as run lengths, as read_kitti_mots returns them.")
    own = seen.boxes[0]
    offset = (box[:2] + box[2:] - own[:2] - own[2:]) / 2
    (mask,) = seen.masks.translated(offset[None]).dense()
    for each in others:
        for other in each.dense():
            mask &= ~other
    return RleMasks.from_dense(mask[None], seen.image_size) if mask.any() else None
