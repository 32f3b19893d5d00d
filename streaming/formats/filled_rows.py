"""Rows for what nobody detected: where a track must have been, or is taken to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.kitti import KittiFrame, Row
from roadmask.streaming.formats.names import KittiFormat
from roadmask.tracking import Filled

Filling = list[tuple[Row, int]]
"""Rows to be added to a frame, each with its track id."""


def filled_rows(frames: list[KittiFrame], filled: Filled, kind: KittiFormat, *, every: int = 1) -> list[Filling]:
    """Writes what was filled in as rows of a format.

    A row takes all but frame, id, box and mask from the nearest sighting of its track. A mask is that sighting's,
    moved to the box's centre, without the pixels that another instance of the frame has: masks of KITTI MOTS never
    overlap. One that nothing is left of makes no row.

    Args:
        frames: of the sequence.
        filled: where tracks are that nobody saw there.
        kind: format of the rows.
        every: number of the file's frames from one of `frames` to the next.
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
    """Returns the run lengths of the n-th filled mask, or None where others cover all of it."""
    near, row = filled.nearest[n].tolist()
    seen, frame = frames[near].instances[[row]], frames[int(filled.frames[n])].instances
    moved = moved_mask(seen, filled.boxes[n], [*([] if frame.masks is None else [frame.masks.to_rle()]), *added])
    return None if moved is None else moved.counts[0].decode("ascii")


def moved_mask(seen: Instances, box: NDArray[np.floating], others: Sequence[RleMasks]) -> RleMasks | None:
    """Returns the mask of the one instance seen, moved to the centre of a box, without the pixels of others.

    Returns:
        One mask, or None where nothing is left of it.
    """
    if not isinstance(seen.masks, RleMasks):
        raise TypeError("expected masks as run lengths, as read_kitti_mots gives them")
    own = seen.boxes[0]
    offset = (box[:2] + box[2:] - own[:2] - own[2:]) / 2
    (mask,) = seen.masks.translated(offset[None]).dense()
    for each in others:
        for other in each.dense():
            mask &= ~other
    return RleMasks.from_dense(mask[None], seen.image_size) if mask.any() else None
