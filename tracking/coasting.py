"""Coasting: predicted boxes of tracks that the detector missed for a moment.

If a detector misses a fifth of all things, a track without a detection is probably still there; if it misses nothing,
the thing has probably left. How often lost tracks came back lately distinguishes the two.
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
"""Prior number of tracks that were gone: as long as nothing is known, no track coasts."""
_BELIEF = 1
"""Prior number of tracks that came back."""


class Coasting:
    """Decides which lost tracks of an epoch are probably still there, frame by frame, from the past only.

    A lost track comes back within `longest_s`, or in the first frame after it, or else counts as gone. The share of
    tracks of its class that came back is the probability that a lost one is still there. Tracks at the left and right
    border of the image do not count, because they leave it.

    Args:
        longest_s: maximum time in seconds that a track coasts; 0 disables coasting.
        share_min: minimum probability at which a track coasts, 0 to 1. Lower values raise HOTA if the detector misses
            much, and lower it slightly if it misses nothing.

    Raises:
        ConfigError: a value is outside its range.
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
        """Lost track -> its category id, and the time of its last detection in nanoseconds."""

    def update(self, tracks: Tracks, timestamp_ns: int) -> NDArray[np.intp]:
        """Adds the next frame.

        Args:
            tracks: tracks of the frame.
            timestamp_ns: capture time of the frame in nanoseconds.

        Returns:
            Rows of `tracks.lost` that are probably still there.
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
    """Returns the boxes of coasting tracks of an epoch; each depends only on the frames before it.

    Args:
        tracked: tracks of the frames in their order.
        times_ns: capture time of each frame in nanoseconds.
        coasting: new object, for this epoch.
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
    """Returns whether boxes are away from the left and right border of the image, where things leave it."""
    margin = 0.002 * image_size[1]
    inside: NDArray[np.bool_] = (boxes[:, 0] > margin) & (boxes[:, 2] < image_size[1] - margin)
    return inside
