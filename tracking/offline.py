"""Offline refinement of the tracks of a recorded drive, which uses what comes later.

A track that ended is joined with one that began later if each, extrapolated towards the other, arrives where the other
is (as in the global linking of StrongSORT, Du et al. 2023, but by motion from both sides instead of a network). Short
gaps are interpolated. All times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.assignment import assign
from roadmask.engines.errors import ConfigError, InputError
from roadmask.tracking.iou.motion import Floats, centres
from roadmask.tracking.tracks import Tracks

NS = 1_000_000_000

VELOCITY_S = 0.5
"""Time in seconds at the end or beginning of a track from which its velocity there is estimated."""
NEAR, NEAR_PER_S = 0.3, 0.6
"""Maximum distance at which an end arrives from the other track, in multiples of its size: constant, and per second."""
SIZE_RATIO_MIN = 0.5
"""Minimum size ratio of the two tracks ..."""
SIZE_RATIO_PER_S = 0.7
"""... which is multiplied by this for each second between them."""
ROUNDS = (0.25, 0.5, 1.0)
"""Shares of `join_gap_s`, joined in turn: the most certain gaps first, because longer tracks have better velocities."""


@dataclass(frozen=True)
class OfflineConfig:
    """Settings of the offline refinement. Times are in seconds, so they hold at any frame rate.

    Raises:
        ConfigError: a value is outside the range stated below.
    """

    join_gap_s: float = 2.0
    """Maximum gap in seconds over which tracks are joined; 0 disables joining."""
    fill_gap_s: float = 1.0
    """Maximum time in seconds between two detections of a track whose gap is filled; 0 disables filling."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"expected {field.name} as a finite number, got {value!r}.")
            if value < 0:
                raise ConfigError(f"expected {field.name} in seconds, 0 or more, got {value}.")


@dataclass(frozen=True, eq=False)
class Sightings:
    """Tracked instances of one epoch, one row each, sorted by track and then by time."""

    frames: NDArray[np.int64]
    """(N,) positions of the frames in the epoch."""
    rows: NDArray[np.int64]
    """(N,) row of each instance in its frame."""
    seconds: Floats
    """(N,) time since the first frame of the epoch in seconds."""
    track_ids: NDArray[np.int64]
    """(N,) track ids, above 0."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids."""
    scores: Floats
    """(N,) scores, 0 to 1."""
    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""

    @classmethod
    def of(cls, tracks: Sequence[Tracks], timestamps_ns: Sequence[int]) -> Sightings:
        """Collects the instances that have a track.

        Args:
            tracks: tracks of the frames of one epoch in their order.
            timestamps_ns: capture time of each frame in nanoseconds.

        Raises:
            InputError: there is not one time for each frame, or the times do not increase.
        """
        if len(tracks) != len(timestamps_ns) or any(b <= a for a, b in pairwise(timestamps_ns)):
            raise InputError(
                f"expected increasing capture times for {len(tracks)} frames, got {len(timestamps_ns)} times: "
                "pass the frames of one epoch in the order of capture."
            )
        counts = [len(each) for each in tracks]
        frames = np.repeat(np.arange(len(tracks)), counts)
        rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(count) for count in counts)])
        seconds = (np.array(timestamps_ns, np.int64) - (timestamps_ns[0] if len(timestamps_ns) else 0)) / NS
        whole = cls(
            frames=frames,
            rows=rows,
            seconds=seconds[frames],
            track_ids=np.concatenate([np.zeros(0, np.int64), *(each.track_ids for each in tracks)]),
            category_ids=np.concatenate([np.zeros(0, np.int64), *(each.instances.category_ids for each in tracks)]),
            scores=np.concatenate([np.zeros(0), *(each.instances.scores for each in tracks)]).astype(np.float64),
            boxes=np.concatenate([np.zeros((0, 4)), *(each.instances.boxes for each in tracks)]).astype(np.float64),
        )
        return whole[np.flatnonzero(whole.track_ids > 0)].sorted()

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: NDArray[np.intp]) -> Sightings:
        return Sightings(*(getattr(self, field.name)[index] for field in fields(self)))

    def sorted(self) -> Sightings:
        """Returns the rows sorted by track and then by time."""
        return self[np.lexsort((self.frames, self.track_ids))]

    @property
    def firsts(self) -> NDArray[np.intp]:
        """(T + 1,) first row of each track, and N."""
        return np.append(np.flatnonzero(np.diff(self.track_ids, prepend=0)), len(self))


@dataclass(frozen=True, eq=False)
class Filled:
    """Instances that were not detected: boxes of tracks between two detections, or after the last one."""

    frames: NDArray[np.int64]
    """(F,) positions of the frames in the epoch, ascending."""
    track_ids: NDArray[np.int64]
    """(F,) track ids."""
    scores: Floats
    """(F,) scores: the lower one of the two detections."""
    boxes: Floats
    """(F, 4) x1, y1, x2, y2 in pixels."""
    nearest: NDArray[np.int64]
    """(F, 2) frame and row of the nearest detection, whose mask may be used for the instance."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Refined:
    """Result of the offline refinement."""

    track_ids: list[NDArray[np.int64]]
    """Track ids of each frame's instances in their order; 0 for no track."""
    filled: Filled
    """Instances to add."""
    joined: int
    """Number of tracks that became a part of an earlier one."""


def refine(tracks: Sequence[Tracks], timestamps_ns: Sequence[int], config: OfflineConfig | None = None) -> Refined:
    """Joins and fills the tracks of a whole epoch.

    Args:
        tracks: tracks of the frames in their order; instances with id 0 have no track.
        timestamps_ns: capture time of each frame in nanoseconds.
        config: settings; None uses the defaults.

    Raises:
        InputError: there is not one time for each frame, or the times do not increase.
    """
    config = config or OfflineConfig()
    sightings = Sightings.of(tracks, timestamps_ns)
    before = len(sightings.firsts) - 1
    sightings = join_tracks(sightings, config)
    joined = before - (len(sightings.firsts) - 1)
    track_ids = [np.zeros(len(each), np.int64) for each in tracks]
    for frame, row, track in zip(
        sightings.frames.tolist(), sightings.rows.tolist(), sightings.track_ids.tolist(), strict=True
    ):
        track_ids[frame][row] = track
    seconds = (np.array(timestamps_ns, np.int64) - (timestamps_ns[0] if len(timestamps_ns) else 0)) / NS
    return Refined(track_ids, fill_gaps(sightings, seconds, config), joined)


def join_tracks(sightings: Sightings, config: OfflineConfig) -> Sightings:
    """Returns the sightings after joined tracks got the id of the earliest of them."""
    for share in ROUNDS if config.join_gap_s > 0 else ():
        ends, begins = _join_once(sightings, share * config.join_gap_s)
        if not len(ends):
            continue
        first_rows = sightings.firsts[:-1]
        ids = sightings.track_ids[first_rows]
        # A track may be joined on both sides; in the order of beginnings, its earlier part has its final id already.
        new_ids = ids.copy()
        order = np.argsort(sightings.seconds[first_rows][begins], kind="stable")
        for end, begin in zip(ends[order].tolist(), begins[order].tolist(), strict=True):
            new_ids[begin] = new_ids[end]
        per_row = np.repeat(new_ids, np.diff(sightings.firsts))
        sightings = replace(sightings, track_ids=per_row).sorted()
    return sightings


def fill_gaps(sightings: Sightings, seconds: Floats, config: OfflineConfig) -> Filled:
    """Interpolates the boxes between two detections of a track that are at most `fill_gap_s` apart.

    Args:
        sightings: tracked instances of one epoch.
        seconds: time of each frame of the epoch in seconds.
        config: settings.
    """
    one, two = np.arange(len(sightings) - 1), np.arange(1, len(sightings))
    missing = sightings.frames[two] - sightings.frames[one] - 1
    gaps = (sightings.track_ids[one] == sightings.track_ids[two]) & (missing > 0)
    gaps &= sightings.seconds[two] - sightings.seconds[one] <= config.fill_gap_s + 1e-6
    scores = np.minimum(sightings.scores[one], sightings.scores[two])
    one, two, missing, scores = one[gaps], two[gaps], missing[gaps], scores[gaps]
    gap = np.repeat(np.arange(len(one)), missing)
    place = np.arange(len(gap)) - np.repeat(np.cumsum(missing) - missing, missing)
    frames = sightings.frames[one][gap] + 1 + place
    start, stop = sightings.seconds[one][gap], sightings.seconds[two][gap]
    share = (seconds[frames] - start) / (stop - start)
    boxes = sightings.boxes[one][gap] * (1 - share[:, None]) + sightings.boxes[two][gap] * share[:, None]
    nearest = np.where(share <= 0.5, one[gap], two[gap])
    order = np.lexsort((sightings.track_ids[nearest], frames))
    return Filled(
        frames=frames[order],
        track_ids=sightings.track_ids[nearest][order],
        scores=scores[gap][order],
        boxes=boxes[order],
        nearest=np.stack([sightings.frames[nearest], sightings.rows[nearest]], axis=1)[order],
    )


def _join_once(sightings: Sightings, gap_s: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns tracks that ended, and the tracks that continue them at most `gap_s` later."""
    firsts = sightings.firsts
    head, tail = firsts[:-1], firsts[1:] - 1
    elapsed = sightings.seconds[head][None] - sightings.seconds[tail][:, None]
    end, begin = np.nonzero((elapsed > 0) & (elapsed <= gap_s + 1e-6))
    between = elapsed[end, begin]
    ending, beginning = sightings.boxes[tail], sightings.boxes[head]
    same = sightings.category_ids[tail][end] == sightings.category_ids[head][begin]
    sides, later_sides = (np.maximum(boxes[:, 2:] - boxes[:, :2], 1) for boxes in (ending, beginning))
    ratio = np.minimum(sides[end] / later_sides[begin], later_sides[begin] / sides[end]).min(axis=1)
    same &= ratio >= SIZE_RATIO_MIN * SIZE_RATIO_PER_S**between

    velocity, later_velocity = _velocities(sightings, firsts)
    apart = centres(beginning)[begin] - centres(ending)[end]
    forwards = np.hypot(*(apart - velocity[end] * between[:, None]).T)
    backwards = np.hypot(*(apart - later_velocity[begin] * between[:, None]).T)
    size = np.sqrt(np.minimum(sides[end].prod(axis=1), later_sides[begin].prod(axis=1)))
    # The mean counts both extrapolations, even if only one of them has a velocity.
    missed = (forwards + backwards) / 2 / (size * (NEAR + NEAR_PER_S * between))
    same &= missed < 1
    gain = np.zeros((len(tail), len(head)))
    gain[end[same], begin[same]] = 1 - missed[same]
    return assign(gain)


def _velocities(sightings: Sightings, firsts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Returns the (T, 2) velocities of the centres at the ends and the beginnings of tracks, in pixels per second."""
    at = centres(sightings.boxes)
    found = np.zeros((2, len(firsts) - 1, 2))
    for track, (first, last) in enumerate(pairwise(firsts.tolist())):
        seconds = sightings.seconds[first:last]
        for side, near in enumerate((seconds >= seconds[-1] - VELOCITY_S, seconds <= seconds[0] + VELOCITY_S)):
            time, place = seconds[near], at[first:last][near]
            if len(time) > 1:
                offset = time - time.mean()
                found[side, track] = offset @ (place - place.mean(axis=0)) / (offset @ offset)
    return found[0], found[1]
