"""What perfect linking would reach with the same detections."""

from __future__ import annotations

import numpy as np

from roadmask.evaluation.tracks.sequence_data import SequenceData

CEILING_GAPS = (0, 1, 5, 15)
"""Frames without a detection that a link may bridge."""


def link_perfectly(data: SequenceData, gap: int) -> SequenceData:
    """Gives each detection the id of the true thing it shows, and another one after too long a gap.

    In each frame detections and true things are paired by the assignment that maximises IoU, over pairs of IoU 0.5 and
    above, the overlap from which CLEAR counts a hit. Things that the benchmark does not count (vans, hidden cars) take
    part, so a track goes on behind them. A detection that shows nothing keeps its id, made distinct from all others:
    linking cannot make it right. HOTA also rewards pairs below IoU 0.5, so a tracker may come to lie slightly above.

    Args:
        data: detections with any ids, as `read_sequences` gives them.
        gap: a track goes on over at most as many frames in which its thing was not detected.
    """
    if not data.shown and len(data):
        raise ValueError("expected data of read_sequences, which say what each detection shows.")
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
