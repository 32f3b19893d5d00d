"""The process that reads a live camera: a thin shell.

Ray starts it again when it dies; it is then empty, and says so. It imports as little as it can: a reader that was
killed shall be back soon.
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

    def next(self, timeout_s: float) -> tuple[FrameNote | None, Frame | None]:
        """Returns the newest frame, apart from what there is to know of it."""
        return self._open().next(timeout_s) or (None, None)

    def status(self) -> ReaderStatus:
        """Returns where the camera is."""
        return self._open().status()

    def close(self) -> None:
        """Ends the decoder."""
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> LiveReader:
        if self._reader is None:
            raise NotOpenError("this process was started again: open it first.")
        return self._reader
