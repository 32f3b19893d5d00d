"""A recording that is played again and again, to measure the memory of a long run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.sources.source import BaseSource


class LoopedSource(BaseSource):
    """The first frames of one camera over and over, decoded anew each time; time and counts go on.

    Args:
        camera: its name.
        specs: as `open_camera` takes them; of one resolution.
        period: frames of a turn, at most as many as the recording has.
        total: frames in all.
    """

    def __init__(self, camera: str, specs: Sequence[str], *, period: int, total: int) -> None:
        self._source = open_camera(camera, specs)
        self._period, self._total = period, total
        self.camera = camera
        self.clock = self._source.clock
        self.fps = self._source.fps
        self.frames_expected: int | None = total
        self.captured = 0

    def describe(self) -> dict[str, Any]:
        """Returns what identifies the recording, and how it is looped."""
        return {**self._source.describe(), "period": self._period, "total": self._total}

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        self.require_open()
        self.captured = 0
        start_ns = 0
        while self.captured < self._total:
            first_ns = last_ns = step_ns = 0
            for turn, item in enumerate(self._source):
                time_ns = item.timestamp_ns
                if time_ns is not None:
                    if not turn:
                        first_ns = time_ns
                    step_ns = time_ns - last_ns if turn else step_ns
                    last_ns = time_ns
                    time_ns = start_ns + time_ns - first_ns
                yield replace(
                    item, frame_index=self.captured, timestamp_ns=cast("int", time_ns)
                )  # None only where it may be
                self.captured += 1
                if turn + 1 == self._period or self.captured == self._total:
                    break
            start_ns += last_ns - first_ns + max(step_ns, 1)

    def close(self) -> None:
        """Closes the recording."""
        super().close()
        self._source.close()
