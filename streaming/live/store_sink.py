"""The store of a live camera as a sink: cut into segments, of which the oldest may be removed."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.retention import Retention, Segments
from roadmask.streaming.sinks.sink import CameraDescription, ResumePoint, TrackedFrame
from roadmask.streaming.sinks.store import StoreSink
from roadmask.streaming.store.config import DEFAULT_STORE_CONFIG, StoreConfig
from roadmask.streaming.store.layout import CAPTURED, read_attributes

FLOOR_BYTES = 500 * 10**6
"""Free disk below which nothing more is stored, bytes."""
_log = logging.getLogger(__name__)


class LiveStoreSink(StoreSink):
    """Writes one live camera into its group of an existing store; continues where a recorder that died committed.

    A live camera loses frames in many places, so what it lost is counted there: `ledger` takes the counts, and each
    commit writes them.

    Args:
        path: the store, made by `MaskStore.create`.
        store_config: how the store is cut into files.
        retention: how much of the camera is kept; everything if None.
        floor_bytes: free disk below which `short_of_disk` says so, bytes.
    """

    def __init__(
        self,
        path: Path,
        store_config: StoreConfig = DEFAULT_STORE_CONFIG,
        *,
        retention: Retention | None = None,
        floor_bytes: int = FLOOR_BYTES,
    ) -> None:
        super().__init__(path, store_config, resume=True)
        self._retention = retention
        self._floor_bytes = floor_bytes
        self._segments: Segments | None = None
        self._epoch: int | None = None
        self._noted = 0
        self.ledger = Ledger()
        """Frames of the camera that are not in the store, as counted so far."""

    @property
    def stored(self) -> int:
        """Frames that were written, committed or not."""
        return self.writer.ledger.stored

    def open(self, camera: str, description: CameraDescription) -> ResumePoint:
        """Takes the camera's lock; returns what is committed already."""
        point = super().open(camera, description)
        writer = self.writer
        if writer.epoch is not None:
            self._epoch = int(writer.epoch.info.get("epoch", writer.epoch.epoch))
        if self._retention is not None:
            self._segments = Segments(self._retention, writer)
        committed = [epoch.info for epoch in writer.earlier.epochs if len(epoch)]
        epoch = int(committed[-1].info.get("epoch", committed[-1].epoch)) if committed else None
        return ResumePoint(point.ledger, point.finished, epoch, point.tracker, point.tracks)

    def write(self, tracked: TrackedFrame) -> None:
        """Appends the frame; begins a segment where the camera's epoch changes or a segment is long enough.

        Raises:
            StoreError: the store cannot be written; what was committed before is safe.
        """
        frame, before = tracked.frame, self.writer.epoch
        due = self._segments is not None and self._segments.due()
        if before is None or frame.epoch != self._epoch or due:
            segment = max(frame.epoch, -1 if before is None else before.epoch + 1)
            self.writer.start_epoch(segment, frame.image_size, frame.clock, {"epoch": frame.epoch})
            self._epoch = frame.epoch
            if self._segments is not None:
                self._segments.start(segment, None if before is None else before.epoch)
        self.writer.append(frame.frame_index, frame.timestamp_ns, tracked.tracks, tracked.tracker)

    def lost(self, item: LostFrame) -> None:
        """Counts the frame in `ledger`, which the next commit writes."""
        self.ledger.lose(item.outcome, item.reason)

    def commit(self) -> None:
        """Writes the ledger, and makes everything that was written readable and safe from a crash."""
        self._write_losses()
        super().commit()

    def trim(self) -> None:
        """Removes what is not kept; if that fails it is tried again later, and storing goes on."""
        if self._segments is None:
            return
        try:
            self._segments.trim()
        except RoadmaskError as error:
            _log.warning("camera %s: the oldest frames could not be removed: %s", self.writer.camera, error)

    def close(self, captured: int | None) -> None:
        """Commits and closes the camera; see `StoreSink.close`."""
        self._write_losses()
        super().close(captured)
        with suppress(OSError):
            (self.writer.folder / CAPTURED).unlink(missing_ok=True)

    def note_captured(self) -> None:
        """Notes how many frames were captured, for `roadmask check` after the run was killed."""
        if self.ledger.captured != self._noted:
            self._noted = self.ledger.captured
            with suppress(OSError):  # a full disk has no room for it either, and nothing depends on it
                (self.writer.folder / CAPTURED).write_text(f"{self._noted}\n")

    def short_of_disk(self) -> str:
        """Returns why the disk cannot take more, for a person to read; empty if it can."""
        folder = self.writer.folder
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return f"{folder} is gone ({error.strerror})"
        if free >= self._floor_bytes:
            return ""
        return f"{free / 1e6:.0f} MB of disk are free, storing needs {self._floor_bytes / 1e6:.0f}: make room"

    def _write_losses(self) -> None:
        ledger = self.writer.ledger
        ledger.dropped, ledger.failed = dict(self.ledger.dropped), dict(self.ledger.failed)


def committed_frames(folder: Path) -> int:
    """Returns how many frames of a camera are committed, removed ones included; 0 if its store cannot be read."""
    try:
        attributes = read_attributes(folder)
        committed = sum(int(each["frames"]) for each in attributes["committed"].values())
        return committed + int(attributes.get("removed", 0))
    except (StoreError, KeyError, TypeError):
        return 0
