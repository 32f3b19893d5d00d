"""The measures that perfect linking of the same detections would reach."""

from __future__ import annotations

import numpy as np

from roadmask.evaluation.tracks.sequence_data import SequenceData

CEILING_GAPS = (0, 1, 5, 15)
"""Numbers of frames without a detection that a link may bridge."""


def link_perfectly(data: SequenceData, gap: int) -> SequenceData:
    """Gives each detection the id of the true object it shows, and a new id after too long a gap.

    In each frame, detections and true objects are paired by the assignment that maximises IoU over pairs with an IoU of
    at least 0.5, the overlap from which CLEAR counts a hit. Objects that the benchmark does not count (vans, hidden
    cars) take part, so a track continues behind them. A detection that shows no object keeps its id, made distinct from
    all others, because linking cannot correct it. HOTA also rewards pairs below IoU 0.5, so a tracker may score
    slightly above this ceiling.

    Args:
        data: detections with any ids, as `read_sequences` returns them.
        gap: maximum number of frames without a detection over which a track continues.

    Raises:
        ValueError: the data do not say what each detection shows.
    """
    if not data.shown and len(data):
        raise ValueError("expected data from read_sequences, which say what each detection shows.")
    pieces = {
        true: np.concatenate([[0], np.cumsum(np.diff(frames) > gap + 1)]) for true, frames in data.detected.items()
    }
    ids: dict[tuple[int, int], int] = {}
    linked = []
    for frame, (given, shown) in enumerate(zip(data.given_ids, data.shown, strict=True)):
        own = np.zeros(len(given), np.int64)
        for n, (came_with, true) in enumerate(zip(given.tolist(), shown.tolist(), strict=True)):
            if true < 0:
                key = (-1, came_with)
            else:
                key = (true, int(pieces[true][np.searchsorted(data.detected[true], frame)]))
            own[n] = ids.setdefault(key, len(ids) + 1)
        linked.append(own)
    return data.with_ids(linked)
