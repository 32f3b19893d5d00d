"""How fast and how old the frames of one camera are."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.reports import Ages, CameraReport
from roadmask.streaming.sources.live.counts import Counts
from roadmask.streaming.sources.live.reader import ReaderStatus

STAGES = ("decode", "queue", "engine", "track", "store")
_WINDOW_NS = 60_000_000_000
_RATE_S, _CAPTURED_RATE_S = 5.0, 2.0
"""Seconds over which frames per second are counted: those that left a stage, and those captured."""


class AgeWindow:
    """Ages of the last minute."""

    def __init__(self) -> None:
        self._ages: deque[tuple[int, float]] = deque()

    def add(self, age_ms: float) -> None:
        """Adds an age that was reached now."""
        self._ages.append((time.monotonic_ns(), age_ms))
        self._trim()

    def ages(self) -> Ages | None:
        """Returns the percentiles; None if nothing was added in the last minute."""
        self._trim()
        if not self._ages:
            return None
        p50, p95, p99 = np.percentile([age for _, age in self._ages], (50, 95, 99)).tolist()
        return Ages(p50, p95, p99)

    def rate(self) -> float:
        """Returns how many ages per second were added lately."""
        since = time.monotonic_ns() - _RATE_S * 1e9
        return sum(1 for at, _ in self._ages if at >= since) / _RATE_S

    def _trim(self) -> None:
        oldest = time.monotonic_ns() - _WINDOW_NS
        while self._ages and self._ages[0][0] < oldest:
            self._ages.popleft()


class Gauges:
    """Ages at each stage, and rates, of one camera."""

    def __init__(self) -> None:
        self._ages = {stage: AgeWindow() for stage in STAGES}
        self._captured_fps = 0.0
        self._captured_before = (0, time.monotonic())
        self._masks_ns: int | None = None

    def age(self, stage: str, captured_ns: int, at_ns: int | None = None) -> None:
        """Notes that a stage has finished with a frame.

        Args:
            stage: one of `STAGES`.
            captured_ns: capture time of the frame, monotonic.
            at_ns: when the stage finished, monotonic; now if None.
        """
        self._ages[stage].add(((time.monotonic_ns() if at_ns is None else at_ns) - captured_ns) / 1e6)

    def masks_of(self, captured_ns: int) -> None:
        """Notes the capture time of the newest frame that has its masks, monotonic."""
        self._masks_ns = captured_ns

    def report(
        self,
        camera: str,
        status: ReaderStatus,
        counts: Counts,
        ledger: Ledger,
        seen: dict[str, int],
        page: Ages | None,
    ) -> CameraReport:
        """Returns the state of the camera.

        Args:
            camera: its name.
            status: what its reader says.
            counts: what its decoder counted.
            ledger: where all of its frames are.
            seen: confirmed tracks in the newest image, by class name.
            page: ages of its images on the page; None if nobody watches.
        """
        now_ns = time.monotonic_ns()
        ages = {stage: ages for stage, window in self._ages.items() if (ages := window.ages()) is not None}
        return CameraReport(
            camera=camera,
            state=status.state,
            detail=status.detail,
            epoch=counts.epoch,
            size=counts.size,
            ledger=ledger,
            captured_fps=round(self._captured_rate(counts.captured), 2),
            segmented_fps=round(self._ages["engine"].rate(), 2),
            reconnects=counts.reconnects,
            image_age_ms=(now_ns - counts.image_ns) / 1e6 if counts.image_ns else None,
            masks_age_ms=None if self._masks_ns is None else (now_ns - self._masks_ns) / 1e6,
            ages=ages if page is None else ages | {"page": page},
            counts=seen,
        )

    def _captured_rate(self, captured: int) -> float:
        before, at = self._captured_before
        seconds = time.monotonic() - at
        if seconds > _CAPTURED_RATE_S:
            self._captured_fps = (captured - before) / seconds
            self._captured_before = captured, time.monotonic()
        return self._captured_fps
