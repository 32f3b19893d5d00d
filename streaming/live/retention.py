"""How much of a live camera is kept: its newest hours, or its newest bytes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from roadmask.engines.errors import InputError
from roadmask.streaming.store import CameraWriter

SEGMENTS = 8
"""Number of segments, about, that the kept part of a camera is cut into; the oldest is removed whole."""
SEGMENT_MIN_S = 5.0
"""Shortest segment in seconds."""
_LOOK_S = 2.0
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True)
class Retention:
    """The newest part of a store, which is kept: one of the two is set."""

    seconds: float | None = None
    """Age in seconds up to which frames are kept."""
    size_bytes: int | None = None
    """Size of all cameras together in bytes."""

    @classmethod
    def parse(cls, text: str) -> Retention:
        """Reads 2h, 30min, 7d, 50GB or 500MB.

        Raises:
            InputError: the text is none of these.
        """
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", text)
        number, unit = (float(match[1]), match[2].lower()) if match else (0.0, "")
        if number > 0 and unit in _SECONDS:
            return cls(seconds=number * _SECONDS[unit])
        if number > 0 and unit in _BYTES:
            return cls(size_bytes=round(number * _BYTES[unit]))
        raise InputError(f"expected --keep as a time or a size, such as 30min, 2h, 7d, 500MB or 50GB, got {text!r}.")

    def shared_by(self, cameras: int) -> Retention:
        """Returns what each of several cameras keeps."""
        if self.size_bytes is None:
            return self
        return Retention(size_bytes=max(self.size_bytes // max(cameras, 1), 1))


class Segments:
    """The segments that one live camera is stored in: says when to begin another, and removes the oldest.

    A segment is an epoch of the store. Tracks go on from one segment to the next.

    Args:
        retention: what this camera keeps.
        writer: of the camera.
    """

    def __init__(self, retention: Retention, writer: CameraWriter) -> None:
        self._retention = retention
        self._writer = writer
        current = None if writer.epoch is None else writer.epoch.epoch
        self._ended: dict[int, float] = {
            epoch.info.epoch: time.monotonic() for epoch in writer.earlier.epochs if epoch.info.epoch != current
        }
        """Each segment that has ended -> when."""
        self._started_at = time.monotonic()
        self._look_at = 0.0

    def start(self, segment: int, before: int | None) -> None:
        """Notes that a segment begins, and that the one before it has ended."""
        if before is not None:
            self._ended[before] = time.monotonic()
        self._ended.pop(segment, None)
        self._started_at = time.monotonic()

    def due(self) -> bool:
        """Returns whether the open segment is long enough, so that another one should begin."""
        age_s = time.monotonic() - self._started_at
        if self._retention.seconds is not None:
            return age_s >= max(self._retention.seconds / SEGMENTS, SEGMENT_MIN_S)
        size, epoch = self._retention.size_bytes, self._writer.epoch
        if epoch is None or size is None or age_s < SEGMENT_MIN_S or not self._look():
            return False
        return folder_bytes(self._writer.folder / str(epoch.epoch)) >= size / SEGMENTS

    def trim(self) -> None:
        """Removes segments that are too old or too large together.

        Raises:
            StoreError: the store cannot be written.
        """
        self._writer.remove_epochs(gone := self._gone())
        for segment in gone:
            del self._ended[segment]

    def _gone(self) -> list[int]:
        oldest = sorted(self._ended)
        if self._retention.seconds is not None:
            now = time.monotonic()
            return [segment for segment in oldest if now - self._ended[segment] > self._retention.seconds]
        sizes = {segment: folder_bytes(self._writer.folder / str(segment)) for segment in oldest}
        total, gone = sum(sizes.values()), []
        room = (self._retention.size_bytes or 0) * (SEGMENTS - 1) / SEGMENTS  # the open segment takes the rest
        for segment in oldest:
            if total <= room:
                break
            total -= sizes[segment]
            gone.append(segment)
        return gone

    def _look(self) -> bool:
        """Returns whether it is time to measure files again."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_S
        return True


def folder_bytes(folder: Path) -> int:
    """Returns the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
