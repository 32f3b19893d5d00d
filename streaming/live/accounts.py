"""Where every captured frame of a camera is, at any moment."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable

import numpy as np

from roadmask.streaming.live.counts import Counts
from roadmask.streaming.live.reader import FrameNote
from roadmask.streaming.live.reports import Ages
from roadmask.streaming.live.storing import Losses

WINDOW_NS = 60_000_000_000
THINNED, STALE, BEFORE_KEYFRAME, LATE, STOPPED = "thinned", "stale", "before_keyframe", "late", "stopped"
"""Reasons of dropped frames: left out to keep to the rate that the engine can take; a newer one was there when the
engine was free; the stream was joined between images that can be decoded by themselves; the queue alone took longer
than the budget; the run ended."""
DECODE, ENGINE, TRACK, STORE = "decode", "engine", "track", "store"
WATCHED = "watched"
"""In a store's ledger: frames that were watched while storing had stopped."""
READER_DIED, SEGMENTER_DIED, WRITER_DIED = "reader_died", "segmenter_died", "writer_died"
"""Reasons of failed frames."""


class Account:
    """The frames of one camera.

    Frames are counted where they are captured, in a file that outlives its process (`CountsFile`), and again one by
    one as their fates become known here. The two are compared in every report.
    """

    def __init__(self) -> None:
        self.stored = 0
        self.watched = 0
        self._dropped: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._pending: dict[int, int] = {}
        self._number = 0
        self._finished = False

    def receive(self, note: FrameNote) -> None:
        """A frame arrived from the reader; those between it and the one before died with a process."""
        self._failed[READER_DIED] += note.number - self._number - 1
        self._number = note.number
        self._pending[note.frame_index] = note.frame_index

    def drop(self, frame_index: int, reason: str) -> None:
        """A frame was left out on purpose."""
        del self._pending[frame_index]
        self._dropped[reason] += 1

    def fail(self, frame_index: int, reason: str) -> None:
        """A frame could not be used."""
        del self._pending[frame_index]
        self._failed[reason] += 1

    def store(self, indices: Iterable[int]) -> None:
        """Frames were handed to the store."""
        for frame_index in indices:
            del self._pending[frame_index]
            self.stored += 1

    def watch(self, indices: Iterable[int]) -> None:
        """Frames were followed and shown, but not stored."""
        for frame_index in indices:
            del self._pending[frame_index]
            self.watched += 1

    def go_on(self, committed: int, indices: Iterable[int], reason: str = WRITER_DIED) -> None:
        """The recorder died, or its store failed for good: what it had not committed is lost.

        Args:
            committed: frames in the store, as its next recorder found it.
            indices: frames that the recorder had, and whose fate it did not report.
            reason: why.
        """
        unreported = [self._pending.pop(frame_index) for frame_index in indices if frame_index in self._pending]
        self._failed[reason] += self.stored + len(unreported) - committed
        self.stored = committed

    def finish(self, counts: Counts) -> None:
        """The run ends: what is still on its way from the reader will not come."""
        self._dropped[STOPPED] += counts.held + counts.handed - self._number
        self._finished = True

    @property
    def pending(self) -> list[int]:
        """Indices of the frames that were received and whose fate is open."""
        return list(self._pending)

    def in_flight(self, counts: Counts) -> int:
        """Returns how many captured frames are not decided."""
        return len(self._pending) + (0 if self._finished else counts.held + counts.handed - self._number)

    def losses(self, counts: Counts) -> Losses:
        """Returns dropped and failed frames by reason, those that never left the decoder included."""
        dropped = self._dropped + Counter(
            {THINNED: counts.thinned, STALE: counts.stale, BEFORE_KEYFRAME: counts.before_keyframe}
        )
        failed = self._failed + Counter({DECODE: counts.undecodable, READER_DIED: counts.gone})
        return Losses(dict(+dropped), dict(+failed))

    def for_store(self, counts: Counts) -> Losses:
        """Returns the losses as the store's ledger has them: to it, what was only watched was dropped."""
        losses = self.losses(counts)
        return Losses(losses.dropped | ({WATCHED: self.watched} if self.watched else {}), losses.failed)

    def missing(self, counts: Counts) -> int:
        """Returns captured frames that are in no column of the ledger: 0, or there is a bug."""
        losses = self.losses(counts)
        known = self.stored + self.watched + sum(losses.dropped.values()) + sum(losses.failed.values())
        return counts.captured - known - self.in_flight(counts)


class AgeWindow:
    """Ages of the last minute."""

    def __init__(self) -> None:
        self._ages: deque[tuple[int, float]] = deque()

    def add(self, age_ms: float) -> None:
        """Adds an age that was reached now."""
        self._ages.append((time.monotonic_ns(), age_ms))
        self._trim()

    def ages(self) -> Ages | None:
        """Returns the percentiles; None where nothing was added of late."""
        self._trim()
        if not self._ages:
            return None
        p50, p95, p99 = np.percentile([age for _, age in self._ages], (50, 95, 99)).tolist()
        return Ages(p50, p95, p99)

    def rate(self, window_s: float = 5.0) -> float:
        """Returns how many were added a second of late."""
        since = time.monotonic_ns() - window_s * 1e9
        return sum(1 for at, _ in self._ages if at >= since) / window_s

    def _trim(self) -> None:
        oldest = time.monotonic_ns() - WINDOW_NS
        while self._ages and self._ages[0][0] < oldest:
            self._ages.popleft()
