"""How much of a live camera is kept: its newest hours, or so many bytes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from roadmask.engines.errors import InputError
from roadmask.streaming.store import CameraWriter

SEGMENTS = 8
"""What is kept lies in about this many epochs; the oldest is removed whole."""
SEGMENT_MIN_S = 5.0
_LOOK_S = 2.0
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True)
class Keep:
    """The newest part of a store that is kept; one of the two."""

    seconds: float | None = None
    size_bytes: int | None = None
    """Of all cameras together."""

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Reads 2h, 30min, 7d, 50GB or 500MB.

        Raises:
            InputError: it is none of these.
        """
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", text)
        number, unit = (float(match[1]), match[2].lower()) if match else (0.0, "")
        if number > 0 and unit in _SECONDS:
            return cls(seconds=number * _SECONDS[unit])
        if number > 0 and unit in _BYTES:
            return cls(size_bytes=round(number * _BYTES[unit]))
        raise InputError(f"expected --keep as a time or a size, such as 30min, 2h, 7d, 500MB or 50GB, got {text!r}.")

    def shared_by(self, cameras: int) -> Keep:
        """Returns what one camera keeps where several share it."""
        return self if self.size_bytes is None else Keep(size_bytes=max(self.size_bytes // max(cameras, 1), 1))


class Trimmer:
    """Cuts what one camera stores into epochs, and removes the oldest.

    Args:
        keep: what this camera keeps.
        writer: of the camera.
    """

    def __init__(self, keep: Keep, writer: CameraWriter) -> None:
        self._keep = keep
        self._writer = writer
        current = None if writer.epoch is None else writer.epoch.epoch
        self._ended: dict[int, float] = {
            epoch.info.epoch: time.monotonic() for epoch in writer.begun.epochs if epoch.info.epoch != current
        }
        self._begun_at = time.monotonic()
        self._look_at = 0.0

    def begin(self, epoch: int) -> None:
        """Another epoch begins; the one before has ended."""
        self._ended.pop(epoch, None)
        self._begun_at = time.monotonic()

    def end(self, epoch: int) -> None:
        """An epoch has ended."""
        self._ended[epoch] = time.monotonic()

    def due(self) -> bool:
        """Whether the open epoch is long enough."""
        age_s = time.monotonic() - self._begun_at
        if self._keep.seconds is not None:
            return age_s >= max(self._keep.seconds / SEGMENTS, SEGMENT_MIN_S)
        epoch = self._writer.epoch
        if epoch is None or self._keep.size_bytes is None or age_s < SEGMENT_MIN_S or not self._look():
            return False
        return folder_bytes(self._writer.folder / str(epoch.epoch)) >= self._keep.size_bytes / SEGMENTS

    def trim(self) -> None:
        """Removes epochs that are too old or too much.

        Raises:
            StoreError: the store cannot be written.
        """
        self._writer.remove_epochs(gone := self._gone())
        for epoch in gone:
            del self._ended[epoch]

    def _gone(self) -> list[int]:
        oldest = sorted(self._ended)
        if self._keep.seconds is not None:
            now = time.monotonic()
            return [epoch for epoch in oldest if now - self._ended[epoch] > self._keep.seconds]
        sizes = {epoch: folder_bytes(self._writer.folder / str(epoch)) for epoch in oldest}
        total, gone = sum(sizes.values()), []
        room = (self._keep.size_bytes or 0) * (SEGMENTS - 1) / SEGMENTS  # the open epoch takes the rest
        for epoch in oldest:
            if total <= room:
                break
            total -= sizes[epoch]
            gone.append(epoch)
        return gone

    def _look(self) -> bool:
        """Whether it is time to measure files again."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_S
        return True


def folder_bytes(folder: Path) -> int:
    """Returns what the files below a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
