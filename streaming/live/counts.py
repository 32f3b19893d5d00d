"""Counts of a camera that outlive the process that makes them.

A camera is decoded in a process that may be killed at any moment, and its counts must not die with it. They lie in a
small file that is mapped into memory: one process writes, others read. A sequence number that is odd while it is being
written lets readers take consistent snapshots without a lock.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from dataclasses import dataclass, fields
from pathlib import Path

_SNAPSHOT_S = 0.2


@dataclass(frozen=True)
class Counts:
    """What became of a camera's frames before they left the process that decodes them.

    captured = thinned + stale + before_keyframe + undecodable + gone + handed + held, at any moment.
    """

    captured: int = 0
    """Packets that hold an image."""
    thinned: int = 0
    """Left out to keep to the rate that the engine can take."""
    stale: int = 0
    """Decoded, but a newer one came before the engine asked."""
    before_keyframe: int = 0
    """Came before the first image that can be decoded by itself."""
    undecodable: int = 0
    """Gave no image."""
    gone: int = 0
    """Were held by a process that was killed."""
    handed: int = 0
    """Given to the run."""
    held: int = 0
    """Inside the decoder, or waiting to be asked for."""
    reconnects: int = 0
    """Connections after the first one."""
    epoch: int = 0
    """Stretch of one resolution and clock."""
    height: int = 0
    width: int = 0
    beat_ns: int = 0
    """Monotonic clock of the last sign of life."""
    image_ns: int = 0
    """Monotonic clock when the newest image was taken."""

    @property
    def settled(self) -> int:
        """Frames whose fate is sealed in the decoding process, those handed on included."""
        return self.thinned + self.stale + self.before_keyframe + self.undecodable + self.gone + self.handed

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the newest image."""
        return (self.height, self.width) if self.height else None


_NAMES = [each.name for each in fields(Counts)]
_LAYOUT = struct.Struct(f"<{1 + len(_NAMES)}q")


class CountsFile:
    """The file; made by whoever starts the run, written by the process that decodes.

    Args:
        path: of the file.
        create: make it, all zero.

    Raises:
        OSError: it cannot be made or mapped.
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
        """Returns a snapshot; one of a writer that was killed in the middle is returned as far as it came."""
        deadline = time.monotonic() + _SNAPSHOT_S
        while True:
            before, *values = _LAYOUT.unpack_from(self._map)
            (after,) = struct.unpack_from("<q", self._map)
            if (before == after and before % 2 == 0) or time.monotonic() > deadline:
                return Counts(*values)
            time.sleep(0)

    def write(self, counts: Counts) -> None:
        """Publishes new counts. One writer at a time."""
        (number,) = struct.unpack_from("<q", self._map)
        odd = number | 1
        struct.pack_into("<q", self._map, 0, odd)
        struct.pack_into(f"<{len(_NAMES)}q", self._map, 8, *(getattr(counts, name) for name in _NAMES))
        struct.pack_into("<q", self._map, 0, odd + 1)

    def close(self) -> None:
        """Lets go of the file."""
        self._map.close()
