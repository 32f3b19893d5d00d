"""A decoder of a live camera in a thread, all its images taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from roadmask.streaming.frames import Frame
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.decoder import LiveDecoder
from roadmask.streaming.sources.live.protocol import CameraState, FrameNote
from support.patience import PATIENCE_S


class WatchedDecoder:
    """A decoder in a thread of this process, all its images taken."""

    def __init__(self, source: str, counts: Path) -> None:
        (self.address,) = parse_live_sources([source])
        self.file = CountsFile(counts, create=not counts.exists())
        self.told: list[tuple[CameraState, str]] = []
        self.notes: list[FrameNote] = []
        self.images: list[Frame] = []
        self.handed_before = 0
        """Frames that a decoder before this one handed on."""
        self.decoder = LiveDecoder(self.address, self.file, lambda state, detail: self.told.append((state, detail)))
        self._threads = [
            threading.Thread(target=self.decoder.run, daemon=True),
            threading.Thread(target=self._take, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _take(self) -> None:
        while True:
            taken = self.decoder.take(0.1)
            if taken is not None:
                self.notes.append(taken[0])
                self.images.append(taken[1])
            elif self.decoder.ended:
                return

    def until(self, true: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, (self.told, self.file.read(), len(self.images))
            time.sleep(0.01)

    def said(self, state: CameraState, words: str) -> bool:
        """Whether it was in a state, once at least, and these words said why."""
        return any(told is state and words in detail for told, detail in list(self.told))

    def told_of(self, state: CameraState) -> str | None:
        return next((detail for told, detail in self.told if told is state), None)

    @property
    def state(self) -> CameraState | None:
        return self.told[-1][0] if self.told else None

    def close(self) -> None:
        self.decoder.stop()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        counts = self.file.read()
        assert counts.captured == counts.decided + counts.held, counts
        assert counts.handed == self.handed_before + len(self.images)
