"""A second look at a recorded drive: what no tracker can know while it drives, because it lies ahead.

Tracks that ended are joined with tracks that began later where each, carried on towards the other, arrives where the
other is (as in the global linking of StrongSORT, Du et al. 2023, but by motion from both sides instead of a network).
Short gaps are filled between their two ends. All times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import ConfigError, InputError
from roadmask.tracking.assignment import assign
from roadmask.tracking.iou.motion import Floats, centres
from roadmask.tracking.tracks import Tracks

NS = 1_000_000_000

VELOCITY_S = 0.5
"""Of a track's end or beginning that tells its velocity there."""
NEAR, NEAR_PER_S = 0.3, 0.6
"""How far an end may arrive from the other track, in multiples of its size, at once and for each second between."""
SIZE_RATIO_MIN = 0.5
"""Both sides of the two must be alike up to this factor ..."""
SIZE_RATIO_PER_S = 0.7
"""... which falls by this one for each second between them."""
ROUNDS = (0.25, 0.5, 1.0)
"""Shares of `join_gap_s` that are joined in turn: the surest first, so that longer tracks tell velocities better."""


@dataclass(frozen=True)
class OfflineConfig:
    """Settings of the offline pass; times are seconds, so they hold at any frame rate.

    Raises:
        ConfigError: a value lies outside the range stated below.
    """

    join_gap_s: float = 2.0
    """Tracks are joined over gaps of at most this; 0: never."""
    fill_gap_s: float = 1.0
    """Frames without a sighting are filled in gaps of at most this, from sighting to sighting; 0: never."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"expected {field.name} as a finite number, got {value!r}.")
            if value < 0:
                raise ConfigError(f"expected {field.name} in seconds, 0 or more, got {value}.")


@dataclass(frozen=True, eq=False)
class Sightings:
    """The tracked instances of one epoch, a row each; sorted by track, then by time."""

    frames: NDArray[np.int64]
    """(N,) position of the frame in the epoch."""
    rows: NDArray[np.int64]
    """(N,) position of the instance in its frame."""
    seconds: Floats
    """(N,) since the epoch's first frame."""
    track_ids: NDArray[np.int64]
    """(N,) above 0."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids."""
    scores: Floats
    """(N,) 0 to 1."""
    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""

    @classmethod
    def of(cls, tracks: Sequence[Tracks], timestamps_ns: Sequence[int]) -> Sightings:
        """Collects the instances that have a track.

        Args:
            tracks: the frames of one epoch in the order of their time.
            timestamps_ns: capture time of each.

        Raises:
            InputError: there is not one time for each frame, or time stands still or goes back.
        """
        if len(tracks) != len(timestamps_ns) or any(b <= a for a, b in pairwise(timestamps_ns)):
            raise InputError(
                f"expected a growing capture time for each of {len(tracks)} frames, got {len(timestamps_ns)} times: "
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
        """Returns them by track, then by time."""
        return self[np.lexsort((self.frames, self.track_ids))]

    @property
    def firsts(self) -> NDArray[np.intp]:
        """(T + 1,) row where each track begins, and N."""
        return np.append(np.flatnonzero(np.diff(self.track_ids, prepend=0)), len(self))


@dataclass(frozen=True, eq=False)
class Filled:
    """Instances that nobody saw: where a track must have been between two sightings."""

    frames: NDArray[np.int64]
    """(F,) position of the frame in the epoch, ascending."""
    track_ids: NDArray[np.int64]
    """(F,) of the track."""
    scores: Floats
    """(F,) the lower one of the two sightings'."""
    boxes: Floats
    """(F, 4) x1, y1, x2, y2 in pixels."""
    nearest: NDArray[np.int64]
    """(F, 2) frame and row of the nearest of the two sightings, whose mask may stand for this one's."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Refined:
    """What the second look changed."""

    track_ids: list[NDArray[np.int64]]
    """Of each frame's instances, in their order; 0 for none."""
    filled: Filled
    """What is to be added."""
    joined: int
    """Tracks that became a part of an earlier one."""


def refine(tracks: Sequence[Tracks], timestamps_ns: Sequence[int], config: OfflineConfig | None = None) -> Refined:
    """Looks at the tracks of a whole epoch again.

    Args:
        tracks: what a tracker said about each frame, in the order of time; instances with id 0 have no track.
        timestamps_ns: capture time of each frame.
        config: settings.

    Raises:
        InputError: as `Sightings.of`.
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
    """Returns the sightings with the ids of joined tracks made one: the earliest one's."""
    for share in ROUNDS if config.join_gap_s > 0 else ():
        ends, begins = _join_once(sightings, share * config.join_gap_s)
        if not len(ends):
            continue
        first_rows = sightings.firsts[:-1]
        ids = sightings.track_ids[first_rows]
        # A track may be joined on both sides: the order of beginnings makes each find its earlier part's new id.
        new_ids = ids.copy()
        order = np.argsort(sightings.seconds[first_rows][begins], kind="stable")
        for end, begin in zip(ends[order].tolist(), begins[order].tolist(), strict=True):
            new_ids[begin] = new_ids[end]
        per_row = np.repeat(new_ids, np.diff(sightings.firsts))
        sightings = replace(sightings, track_ids=per_row).sorted()
    return sightings


def fill_gaps(sightings: Sightings, seconds: Floats, config: OfflineConfig) -> Filled:
    """Returns what lies between two sightings of a track that are at most `fill_gap_s` apart, moved evenly.

    Args:
        sightings: of one epoch.
        seconds: time of each frame of the epoch.
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
    """Returns the positions of tracks that ended and of those that go on with them, at most `gap_s` later."""
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
    # Both must arrive; what only one of them tells is worth the mean.
    missed = (forwards + backwards) / 2 / (size * (NEAR + NEAR_PER_S * between))
    same &= missed < 1
    gain = np.zeros((len(tail), len(head)))
    gain[end[same], begin[same]] = 1 - missed[same]
    ends, begins = assign(gain)
    made = gain[ends, begins] > 0
    return ends[made], begins[made]


def _velocities(sightings: Sightings, firsts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Returns the (T, 2) velocities of the tracks' centres at their ends and at their beginnings, pixels per second."""
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
