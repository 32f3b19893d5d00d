"""Rows for what nobody detected: where the offline pass says that a track must have been."""

from __future__ import annotations

from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.kitti import KittiFormat, KittiFrame, Row
from roadmask.tracking import Refined

Filling = list[tuple[Row, int]]
"""Rows to be added to a frame, each with its track id."""


def filled_rows(frames: list[KittiFrame], refined: Refined, kind: KittiFormat, *, every: int = 1) -> list[Filling]:
    """Writes what the offline pass filled in as rows of a format.

    A row takes all but frame, id, box and mask from the nearest sighting of its track. A mask is that sighting's,
    moved to the box's centre, without the pixels that another instance of the frame has: masks of KITTI MOTS never
    overlap. One that nothing is left of makes no row.

    Args:
        frames: of the sequence.
        refined: what the offline pass said about them.
        kind: format of the rows.
        every: number of the file's frames from one of `frames` to the next.
    """
    filled = refined.filled
    rows: list[Filling] = [[] for _ in frames]
    for n in range(len(filled)):
        frame, (near, row) = int(filled.frames[n]), filled.nearest[n].tolist()
        like = frames[near].rows[row]
        head = (str(frame * every), like[1], *like[2:])
        if kind == "kitti-box":
            box = tuple(f"{value:.2f}" for value in filled.boxes[n].tolist())
            made = (*head[:6], *box, *head[10:])
        else:
            counts = _moved_mask(frames, refined, n, [RleMasks((r[5].encode(),), _size(r)) for r, _ in rows[frame]])
            if counts is None:
                continue
            made = (*head[:5], counts)
        rows[frame].append((made, int(filled.track_ids[n])))
    return rows


def _size(row: Row) -> tuple[int, int]:
    return int(row[3]), int(row[4])


def _moved_mask(frames: list[KittiFrame], refined: Refined, n: int, added: list[RleMasks]) -> str | None:
    """Returns the run lengths of the n-th filled mask, or None where others cover all of it."""
    filled = refined.filled
    near, row = filled.nearest[n].tolist()
    seen = frames[near].instances[[row]]
    if not isinstance(seen.masks, RleMasks):
        raise TypeError("expected masks as run lengths, as read_kitti_mots gives them")
    box, own = filled.boxes[n], seen.boxes[0]
    offset = (box[:2] + box[2:] - own[:2] - own[2:]) / 2
    (mask,) = seen.masks.translated(offset[None]).dense()
    present = frames[int(filled.frames[n])].instances.masks
    for others in ([] if present is None else [present.to_rle()]) + added:
        for other in others.dense():
            mask &= ~other
    if not mask.any():
        return None
    return RleMasks.from_dense(mask[None], seen.image_size).counts[0].decode("ascii")
