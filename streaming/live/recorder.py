"""The end of the line for one live camera: follows, draws and stores, and goes on watching when it cannot store."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from roadmask.engines import Instances
from roadmask.engines.errors import StoreError
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.picture import PictureMaker
from roadmask.streaming.live.reports import LivePicture
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.store import CameraWriter
from roadmask.tracking import Backfill, TrackerState, Tracks, TrackState

COMMIT_S = 3.0
"""What is stored becomes readable, and safe, within this."""
FLOOR_BYTES = 500 * 10**6
"""Below this much free disk nothing more is stored."""
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Losses:
    """Frames that are not in the store, as counted so far."""

    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of the frames that were pushed."""

    stored: tuple[int, ...] = ()
    """Indices of frames that were handed to the store since the last outcome."""
    watched: tuple[int, ...] = ()
    """Indices of frames that were followed, but will not be stored."""
    storing: bool = False
    store_detail: str = ""
    """Why it does not store, if it should."""
    tracked_ns: int = 0
    """Monotonic clock when the frame had been followed."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Confirmed tracks in the frame, by class name."""
    picture: LivePicture | None = None


@dataclass(frozen=True, eq=False)
class _Held:
    """A frame that waits for its tracks to be decided."""

    index: int
    timestamp_ns: int
    tracker: TrackerState


class LiveRecorder:
    """One camera's tracker, back-fill, store and pictures.

    Args:
        writer: of this camera; None to watch only. The recorder goes on after what its store already holds.
        track: the tracker of this camera.
        class_names: category id -> name.
        pictures: draws what is shown; None draws nothing.
        floor_bytes: free disk below which nothing is stored.
    """

    def __init__(
        self,
        writer: CameraWriter | None,
        track: TrackStage,
        class_names: Mapping[int, str],
        pictures: PictureMaker | None = None,
        *,
        floor_bytes: int = FLOOR_BYTES,
    ) -> None:
        self._writer = writer
        self._track = track
        self._class_names = class_names
        self._pictures = pictures
        self._floor_bytes = floor_bytes
        self._waiting: Backfill[_Held] = Backfill()
        self._waiting_indices: deque[int] = deque()
        self._stretch = -1
        self._last: tuple[int, tuple[int, int], int] | None = None
        self._stored: list[int] = []
        self._watched: list[int] = []
        self._problem = ""
        self._retry_at = 0.0
        self._commit_at = time.monotonic() + COMMIT_S
        if writer is not None and writer.epoch is not None:
            self._go_on(writer)

    def _go_on(self, writer: CameraWriter) -> None:
        """Takes up a camera whose recorder died, at its last commit."""
        last = writer.begun.epochs[-1]
        self._stretch = last.info.epoch
        if writer.begun.tracker is not None and writer.begun.epoch is not None:
            self._track.restore(writer.begun.tracker, writer.begun.epoch)
        if len(last):
            camera_epoch = int(last.info.info.get("epoch", last.info.epoch))
            self._last = (camera_epoch, last.info.image_size, int(last.timestamp_ns[-1]))

    @property
    def folder(self) -> Path | None:
        """Where the camera is stored."""
        return None if self._writer is None else self._writer.folder

    @property
    def frames_stored(self) -> int:
        """Frames handed to the store so far, by the recorders before this one too."""
        return 0 if self._writer is None else self._writer.ledger.stored

    def push(self, frame: Frame, found: Instances, losses: Losses, *, show: bool = False) -> Outcome:
        """Takes the next frame and what was found in it.

        Args:
            frame: a later one than the frame before.
            found: its instances.
            losses: frames that were lost so far.
            show: draw it.
        """
        if self._begins(frame):
            self._stretch += 1
        tracks = self._track(replace(frame, epoch=self._stretch), found)
        tracked_ns = time.monotonic_ns()
        self._last = (frame.epoch, frame.image_size, frame.timestamp_ns)
        if self._writer is not None:
            self._note(losses)
            self._look_at_disk()
        if self._writer is None or self._problem:
            self._watched.append(frame.index)
        else:
            self._store(frame, tracks)
        picture = self._pictures(frame, tracks) if show and self._pictures is not None else None
        return self._outcome(tracked_ns, tracks, picture)

    def tick(self, losses: Losses) -> Outcome:
        """Commits what is due, and tries again to store; call it once a second, frames or not."""
        if self._writer is not None:
            self._note(losses)
            self._look_at_disk()
            if not self._problem and time.monotonic() >= self._commit_at:
                self._guarded(self._commit)
        return self._outcome()

    def flush(self, losses: Losses) -> Outcome:
        """Decides the frames that wait for their tracks: no more will come."""
        if self._writer is not None:
            self._note(losses)
            if self._problem:
                self._give_up_waiting()
            else:
                self._guarded(lambda: self._append(self._waiting.flush()))
                self._give_up_waiting()
        return self._outcome()

    def close(self, captured: int, losses: Losses) -> Ledger | None:
        """Commits and closes the camera's store.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        if self._writer is None:
            return None
        self._note(losses)
        return self._writer.close(captured)

    def abandon(self) -> None:
        """Commits what it can and lets go."""
        if self._writer is not None:
            self._writer.abandon()

    @property
    def _open_writer(self) -> CameraWriter:
        assert self._writer is not None  # noqa: S101 - asked for only where there is one
        return self._writer

    def _begins(self, frame: Frame) -> bool:
        """Whether another stretch begins: a new resolution or clock, or time that went back."""
        if self._last is None:
            return True
        epoch, size, timestamp_ns = self._last
        return frame.epoch != epoch or frame.image_size != size or frame.timestamp_ns <= timestamp_ns

    def _store(self, frame: Frame, tracks: Tracks) -> None:
        self._waiting_indices.append(frame.index)
        held = _Held(frame.index, frame.timestamp_ns, self._track.state())

        def store() -> None:
            epoch = self._open_writer.epoch
            if epoch is None or epoch.epoch < self._stretch:
                self._append(self._waiting.flush())
                self._open_writer.start_epoch(self._stretch, frame.image_size, frame.clock, {"epoch": frame.epoch})
            self._append(self._waiting.push(held, tracks))
            if time.monotonic() >= self._commit_at:
                self._commit()

        self._guarded(store)

    def _append(self, resolved: list[tuple[_Held, Tracks]]) -> None:
        for held, tracks in resolved:
            before = self._open_writer.ledger.stored
            try:
                self._open_writer.append(held.index, held.timestamp_ns, tracks, held.tracker)
            finally:
                self._waiting_indices.remove(held.index)
                taken = self._open_writer.ledger.stored > before
                if taken:
                    self._stored.append(held.index)
                else:
                    self._watched.append(held.index)

    def _commit(self) -> None:
        self._commit_at = time.monotonic() + COMMIT_S
        self._open_writer.commit()

    def _guarded(self, write: Callable[[], None]) -> None:
        """Writes; a store that refuses stops storing, not watching. What it has taken stays buffered."""
        try:
            write()
        except StoreError as error:
            self._stop_storing(str(error))

    def _stop_storing(self, why: str) -> None:
        self._problem, self._retry_at = why, time.monotonic() + _RETRY_S
        _log.warning("storing stopped, watching goes on: %s", why)
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self._waiting.flush()
        for index in self._waiting_indices:
            self._watched.append(index)
        self._waiting_indices.clear()

    def _look_at_disk(self) -> None:
        """Stops storing below the floor of free disk; goes on once there is room and what is buffered is written."""
        if self._problem:
            if time.monotonic() < self._retry_at:
                return
            self._retry_at = time.monotonic() + _RETRY_S
            if self._short_of_disk():
                return
            try:
                self._commit()
            except StoreError:
                return
            _log.warning("storing goes on")
            self._problem = ""
        elif time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _RETRY_S
            if short := self._short_of_disk():
                self._guarded(lambda: self._append(self._waiting.flush()))
                self._guarded(self._commit)
                self._stop_storing(short)

    def _short_of_disk(self) -> str:
        folder = self.folder
        try:
            free = shutil.disk_usage(folder).free if folder is not None else 0
        except OSError as error:
            return f"{folder} is gone ({error.strerror})"
        if free >= self._floor_bytes:
            return ""
        return f"{free / 1e6:.0f} MB of disk are free, storing needs {self._floor_bytes / 1e6:.0f}: make room"

    def _note(self, losses: Losses) -> None:
        ledger = self._open_writer.ledger
        ledger.dropped, ledger.failed = dict(losses.dropped), dict(losses.failed)

    def _outcome(
        self, tracked_ns: int = 0, tracks: Tracks | None = None, picture: LivePicture | None = None
    ) -> Outcome:
        stored, self._stored = tuple(self._stored), []
        watched, self._watched = tuple(self._watched), []
        counts: Counter[str] = Counter()
        if tracks is not None:
            confirmed = tracks.instances.labels[tracks.states == TrackState.CONFIRMED]
            counts.update(self._class_names.get(label, f"class {label}") for label in confirmed.tolist())
        storing = self._writer is not None and not self._problem
        return Outcome(stored, watched, storing, self._problem, tracked_ns, dict(counts), picture)
