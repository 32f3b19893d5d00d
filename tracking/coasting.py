"""What a detector missed is still there: tracks that go on for a moment without being seen.

A detector that misses a fifth of what is there leaves a fifth of the world out of every frame, where a detector that
misses nothing stops seeing a thing because it is gone. How often things came back lately tells the two apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import ConfigError
from roadmask.tracking.offline import Filled
from roadmask.tracking.tracks import Tracks

NS = 1_000_000_000
_DOUBT = 2
"""Things that are taken to have gone for good before any was seen to: where nothing is known, nothing coasts."""
_BELIEF = 1
"""And to have come back."""


class Coasting:
    """Tells which lost tracks of an epoch are likelier there than not, frame by frame, from the past alone.

    A track that was not seen comes back in the first frame after `longest_s` at the latest, or counts as gone; the
    share of those that came back, by class, is the chance that one that is missing now is there. Tracks at the
    image's left and right border are left out: they leave.

    Args:
        longest_s: tracks coast for at most this, seconds; 0: never.
        share_min: lowest chance at which they do, 0 to 1. Lower ones raise HOTA where a detector misses much, and cost
            some where it misses nothing: docs/explanation/tracking.md.

    Raises:
        ConfigError: a value lies outside its range.
    """

    def __init__(self, longest_s: float = 0.35, share_min: float = 0.6) -> None:
        if not (math.isfinite(longest_s) and longest_s >= 0):
            raise ConfigError(f"expected longest_s in seconds, 0 or more, got {longest_s}.")
        if not 0 <= share_min <= 1:
            raise ConfigError(f"expected share_min from 0 to 1, got {share_min}.")
        self._longest_ns, self._share_min = round(longest_s * NS), share_min
        self._returned: Counter[int] = Counter()
        self._gone: Counter[int] = Counter()
        self._missing: dict[int, tuple[int, int]] = {}
        """Label of each track that was lost, and when it was last seen."""

    def update(self, tracks: Tracks, timestamp_ns: int) -> NDArray[np.intp]:
        """Takes the next frame.

        Args:
            tracks: what the tracker said about it.
            timestamp_ns: its capture time.

        Returns:
            Rows of `tracks.lost` that should be taken to be there.
        """
        lost = tracks.lost
        fresh = (lost.lost_ns <= self._longest_ns) & _inside(lost.boxes, tracks.instances.image_size)
        self._count(tracks, timestamp_ns, fresh)
        rows = np.flatnonzero(fresh)
        likely = np.array(
            [self._chance(category_id) >= self._share_min for category_id in lost.category_ids[rows].tolist()], bool
        )
        chosen: NDArray[np.intp] = rows[likely]
        return chosen

    def _count(self, tracks: Tracks, timestamp_ns: int, fresh: NDArray[np.bool_]) -> None:
        seen = set(tracks.track_ids.tolist())
        for track, (category_id, last_ns) in list(self._missing.items()):
            if track in seen:
                self._returned[category_id] += 1
                del self._missing[track]
            elif timestamp_ns - last_ns > self._longest_ns:
                self._gone[category_id] += 1
                del self._missing[track]
        lost = tracks.lost
        for row in np.flatnonzero(fresh).tolist():
            self._missing.setdefault(
                int(lost.track_ids[row]), (int(lost.category_ids[row]), timestamp_ns - int(lost.lost_ns[row]))
            )

    def _chance(self, category_id: int) -> float:
        returned, gone = self._returned[category_id] + _BELIEF, self._gone[category_id] + _DOUBT
        return returned / (returned + gone)


def coasted(tracked: Sequence[Tracks], times_ns: Sequence[int], coasting: Coasting) -> Filled:
    """Returns where tracks of an epoch coast: in each frame from what came before it alone.

    Args:
        tracked: of the frames in their order.
        times_ns: when each was captured.
        coasting: of this epoch, new.
    """
    last: dict[int, tuple[int, int]] = {}
    found: list[tuple[int, int, float, NDArray[np.float32], tuple[int, int]]] = []
    for frame, (tracks, time_ns) in enumerate(zip(tracked, times_ns, strict=True)):
        for row in coasting.update(tracks, time_ns).tolist():
            track = int(tracks.lost.track_ids[row])
            at, place = last[track]
            found.append(
                (frame, track, float(tracked[at].instances.scores[place]), tracks.lost.boxes[row], (at, place))
            )
        last |= {track: (frame, row) for row, track in enumerate(tracks.track_ids.tolist()) if track}
    return Filled(
        frames=np.array([each[0] for each in found], np.int64),
        track_ids=np.array([each[1] for each in found], np.int64),
        scores=np.array([each[2] for each in found], np.float64),
        boxes=np.array([each[3] for each in found], np.float64).reshape(-1, 4),
        nearest=np.array([each[4] for each in found], np.int64).reshape(-1, 2),
    )


def _inside(boxes: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns whether boxes keep away from the image's left and right border, where things leave it."""
    margin = 0.002 * image_size[1]
    inside: NDArray[np.bool_] = (boxes[:, 0] > margin) & (boxes[:, 2] < image_size[1] - margin)
    return inside
