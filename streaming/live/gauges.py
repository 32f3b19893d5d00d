"""How fast and how old the frames of one camera are."""

from __future__ import annotations

import time

from roadmask.streaming.live.accounts import Account, AgeWindow
from roadmask.streaming.live.counts import Counts
from roadmask.streaming.live.reader import ReaderStatus
from roadmask.streaming.live.reports import Ages, CameraReport

STAGES = ("decode", "queue", "engine", "track", "store")
_RATE_S = 2.0
"""Frames captured a second are counted over this."""


class Gauges:
    """Ages at each stage, and rates, of one camera."""

    def __init__(self) -> None:
        self._ages = {stage: AgeWindow() for stage in STAGES}
        self._captured_fps = 0.0
        self._captured_before = (0, time.monotonic())
        self._masks_ns: int | None = None

    def age(self, stage: str, taken_ns: int, at_ns: int | None = None) -> None:
        """A stage has finished with a frame, now or at a moment of the monotonic clock."""
        self._ages[stage].add(((time.monotonic_ns() if at_ns is None else at_ns) - taken_ns) / 1e6)

    def masks_of(self, taken_ns: int) -> None:
        """The newest frame that has its masks was taken at this moment of the monotonic clock."""
        self._masks_ns = taken_ns

    def report(
        self,
        camera: str,
        status: ReaderStatus,
        counts: Counts,
        account: Account,
        seen: dict[str, int],
        page: Ages | None,
    ) -> CameraReport:
        """Returns the state of the camera.

        Args:
            camera: its name.
            status: where its reader is.
            counts: what became of its frames before they left the decoder.
            account: what became of the others.
            seen: confirmed tracks in the newest image, by class name.
            page: ages of its images on the page.
        """
        losses = account.losses(counts)
        now_ns = time.monotonic_ns()
        ages = {stage: ages for stage, window in self._ages.items() if (ages := window.ages()) is not None}
        return CameraReport(
            camera=camera,
            state=status.state,
            detail=status.detail,
            epoch=counts.epoch,
            size=counts.size,
            captured=counts.captured,
            stored=account.stored,
            watched=account.watched,
            dropped=losses.dropped,
            failed=losses.failed,
            in_flight=account.in_flight(counts),
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
        if seconds > _RATE_S:
            self._captured_fps = (captured - before) / seconds
            self._captured_before = captured, time.monotonic()
        return self._captured_fps
