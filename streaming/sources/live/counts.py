"""Counts of a decoder that outlive its process.

A camera is decoded in a process that may be killed at any moment, and its counts must not die with it. They lie in a
small file that is mapped into memory: one process writes, others read. A sequence number that is odd during a write
lets readers take consistent snapshots without a lock.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from dataclasses import dataclass, fields
from pathlib import Path

from roadmask.streaming.ledger import BEFORE_KEYFRAME, DECODE, Ledger

THINNED, STALE = "thinned", "stale"
"""Reasons of frames that a decoder drops, beside `before_keyframe`: skipped to keep to the rate that the engine can
take; replaced by a newer frame before the engine was free."""
READER_DIED = "reader_died"
"""Reason of frames that fail on the way to the run: the process that held the frame was killed."""
_SNAPSHOT_S = 0.2


@dataclass(frozen=True)
class Counts:
    """What became of a camera's frames before they left the decoder.

    captured = thinned + stale + before_keyframe + undecodable + killed + handed + held, at any moment.
    """

    captured: int = 0
    """Frames that packets began."""
    thinned: int = 0
    """Frames skipped to keep to the rate that the engine can take."""
    stale: int = 0
    """Frames that were decoded and then replaced by a newer one."""
    before_keyframe: int = 0
    """Frames that came before the first one that can be decoded by itself, or need frames from before it."""
    undecodable: int = 0
    """Frames that could not be decoded."""
    killed: int = 0
    """Frames that a decoder held when it was killed."""
    handed: int = 0
    """Frames that were handed to the run."""
    held: int = 0
    """Frames inside the decoder, or waiting to be requested."""
    reconnects: int = 0
    """Connections after the first one."""
    epoch: int = 0
    """Epoch of the newest image."""
    height: int = 0
    """Height of the newest image in pixels; 0 before the first."""
    width: int = 0
    """Width of the newest image in pixels."""
    beat_ns: int = 0
    """Monotonic clock of the last sign of life, nanoseconds."""
    image_ns: int = 0
    """Monotonic capture time of the newest image, nanoseconds."""
    image_unix_ns: int = 0
    """Capture time of the newest decoded image on the wall clock, nanoseconds since 1970; 0 before the first."""

    @property
    def decided(self) -> int:
        """Frames that are no longer in the decoder."""
        return self.thinned + self.stale + self.before_keyframe + self.undecodable + self.killed + self.handed

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the newest image in pixels; None before the first."""
        return (self.height, self.width) if self.height else None

    @property
    def ledger(self) -> Ledger:
        """The ledger of this camera as its decoder knows it: frames that it handed on or holds are in flight."""
        dropped = {THINNED: self.thinned, STALE: self.stale, BEFORE_KEYFRAME: self.before_keyframe}
        failed = {DECODE: self.undecodable, READER_DIED: self.killed}
        return Ledger(self.captured, 0, dropped, failed, self.handed + self.held)


_NAMES = [each.name for each in fields(Counts)]
_LAYOUT = struct.Struct(f"<{1 + len(_NAMES)}q")


class CountsFile:
    """The file of a decoder's counts: created by whoever starts the run, written by the process that decodes.

    Args:
        path: the file.
        create: create it, with all counts zero.

    Raises:
        OSError: the file cannot be created or mapped.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            if create:
                os.ftruncate(descriptor, _LAYOUT.size)
            self._map = mmap.mmap(descriptor, _LAYOUT.size)
        finally:
            os.close(descriptor)

    def read(self) -> Counts:
        """Returns a snapshot; if the writer was killed during a write, as far as it came."""
        deadline = time.monotonic() + _SNAPSHOT_S
        while True:
            before, *values = _LAYOUT.unpack_from(self._map)
            (after,) = struct.unpack_from("<q", self._map)
            if (before == after and before % 2 == 0) or time.monotonic() > deadline:
                return Counts(*values)
            time.sleep(0)

    def write(self, counts: Counts) -> None:
        """Publishes new counts. There is one writer at a time."""
        (sequence,) = struct.unpack_from("<q", self._map)
        odd = sequence | 1
        struct.pack_into("<q", self._map, 0, odd)
        struct.pack_into(f"<{len(_NAMES)}q", self._map, 8, *(getattr(counts, name) for name in _NAMES))
        struct.pack_into("<q", self._map, 0, odd + 1)

    def close(self) -> None:
        """Unmaps the file."""
        self._map.close()
