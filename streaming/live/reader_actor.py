"""The process that reads a live camera: a thin shell.

It is empty until it is opened, and says so. It imports as little as it can: there is one for each camera.
"""

from __future__ import annotations

import os
from pathlib import Path

from roadmask.streaming.frames import Frame
from roadmask.streaming.live.address import Address
from roadmask.streaming.live.reader import FrameNote, LiveReader, ReaderStatus
from roadmask.streaming.ray_actors import Actor, NotOpenError


class ReaderActor(Actor):
    """Reads one camera."""

    _reader: LiveReader | None = None

    def open(self, address: Address, counts: Path) -> int:
        """Starts to read; returns the process's id."""
        if self._reader is not None:
            self._reader.close()
        self._reader = LiveReader(address, counts)
        return os.getpid()

    def next(self, timeout_s: float, limit_fps: float | None) -> tuple[FrameNote | None, Frame | None]:
        """Returns the newest frame, apart from what there is to know of it."""
        return self._open().next(timeout_s, limit_fps) or (None, None)

    def status(self) -> ReaderStatus:
        """Returns where the camera is."""
        return self._open().status()

    def close(self) -> None:
        """Ends the decoder."""
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> LiveReader:
        if self._reader is None:
            raise NotOpenError("this process is empty: open it first.")
        return self._reader
