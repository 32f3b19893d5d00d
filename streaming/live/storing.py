"""Stores one live camera in a thread of its own, and steps aside when the disk will not take more.

A commit flushes files to the disk, which takes as long as the disk likes: nobody who watches waits for it.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.frames import Clock
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.keep import Keep, Trimmer
from roadmask.streaming.store import CameraWriter
from roadmask.tracking import Backfill, TrackerState, Tracks

COMMIT_S = 3.0
"""What is stored becomes readable, and safe, within this."""
FLOOR_BYTES = 500 * 10**6
"""Below this much free disk nothing more is stored."""
WAITING_MAX = 64
"""Frames that wait for the disk, at most; more than that are watched only."""
_LOOK_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Losses:
    """Frames that are not in the store, as counted so far."""

    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Storable:
    """A frame without its image."""

    frame_index: int
    timestamp_ns: int
    stretch: int
    """Counts the stretches of one size and clock; the tracker begins anew with each."""
    camera_epoch: int
    """Epoch of the camera."""
    image_size: tuple[int, int]
    clock: Clock
    tracks: Tracks
    tracker: TrackerState
    """What the tracker knew right after it."""


@dataclass(frozen=True)
class Fates:
    """What became of frames."""

    stored: tuple[tuple[int, int], ...] = ()
    """Index of each frame that was handed to the store, and when, on the monotonic clock."""
    watched: tuple[int, ...] = ()
    """Indices of frames that will not be stored."""


class Storing:
    """Takes tracked frames; back-fills, stores and commits them.

    A store that refuses, or a disk that is nearly full, stops storing: frames are then only watched. What the store has
    taken by then stays buffered; storing goes on once that could be written.

    Args:
        writer: of the camera; used by the thread alone until `close`.
        floor_bytes: free disk below which nothing is stored.
        keep: how much of what is stored is kept; all if None.
    """

    def __init__(self, writer: CameraWriter, *, floor_bytes: int = FLOOR_BYTES, keep: Keep | None = None) -> None:
        self._writer = writer
        self._trimmer = None if keep is None else Trimmer(keep, writer)
        self._floor_bytes = floor_bytes
        self._came: queue.Queue[Storable | None] = queue.Queue(WAITING_MAX)
        self._backfill: Backfill[Storable] = Backfill()
        self._undecided: deque[int] = deque()
        self._fates = threading.Lock()
        self._stored: list[tuple[int, int]] = []
        self._watched: list[int] = []
        self._losses = Losses()
        self._stretch = -1 if writer.epoch is None else int(writer.epoch.info.get("stretch", writer.epoch.epoch))
        self._look_at = 0.0
        self._commit_at = time.monotonic() + COMMIT_S
        self.problem = ""
        """Why nothing is stored now; empty while storing."""
        self._thread = threading.Thread(target=self._run, name=f"storing-{writer.camera}", daemon=True)
        self._thread.start()

    def put(self, frame: Storable) -> None:
        """Takes the next frame; returns at once."""
        try:
            self._came.put_nowait(frame)
        except queue.Full:
            self._watch(frame.frame_index)

    def note(self, losses: Losses) -> None:
        """Takes the losses that the next commit writes."""
        self._losses = losses

    def fates(self) -> Fates:
        """Returns what became of frames since this was last asked."""
        with self._fates:
            stored, self._stored = self._stored, []
            watched, self._watched = self._watched, []
        return Fates(tuple(stored), tuple(watched))

    def finish(self) -> None:
        """Decides every frame that was put; no more may come."""
        if self._thread.is_alive():
            self._came.put(None)
            self._thread.join()

    def close(self, captured: int, losses: Losses) -> Ledger:
        """Commits and closes the camera's store, after `finish`.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        self._losses = losses
        self._write_losses()
        return self._writer.close(captured)

    def abandon(self) -> None:
        """Commits what it can and lets go."""
        self.finish()
        self._writer.abandon()

    def _run(self) -> None:
        while True:
            try:
                frame = self._came.get(timeout=_LOOK_S / 4)
            except queue.Empty:
                self._look()
                continue
            if frame is None:
                break
            self._look()
            if self.problem:
                self._watch(frame.frame_index)
            else:
                self._guarded(lambda frame=frame: self._store(frame))  # type: ignore[misc]
        if not self.problem:
            self._guarded(lambda: self._append(self._backfill.flush()))
        self._give_up_undecided()

    def _look(self) -> None:
        """Commits what is due; stops below the floor of free disk, goes on above it."""
        now = time.monotonic()
        if not self.problem and now >= self._commit_at:
            self._guarded(self._commit)
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        self._trim()
        short = self._short_of_disk()
        if self.problem and not short:
            try:
                self._commit()
            except Exception as error:  # whatever it was that storing tripped over is still there
                _log.debug("camera %s: storing does not go on: %r", self._writer.camera, error)
                return
            _log.warning("camera %s: storing goes on", self._writer.camera)
            self.problem = ""
        elif short and not self.problem:
            self._guarded(lambda: self._append(self._backfill.flush()))
            self._guarded(self._commit)
            self._stop(short)

    def _trim(self) -> None:
        """Removes what is too old or too much; where that fails it is tried again, and storing goes on."""
        if self._trimmer is None:
            return
        try:
            self._trimmer.trim()
        except RoadmaskError as error:
            _log.warning("camera %s: what is too old could not be removed: %s", self._writer.camera, error)

    def _store(self, frame: Storable) -> None:
        self._undecided.append(frame.frame_index)
        if self._writer.epoch is None or frame.stretch != self._stretch:
            self._append(self._backfill.flush())
            self._start_epoch(frame)
        self._append(self._backfill.push(frame, frame.tracks))

    def _start_epoch(self, frame: Storable) -> None:
        before = self._writer.epoch
        number = max(frame.stretch, -1 if before is None else before.epoch + 1)
        info = {"epoch": frame.camera_epoch, "stretch": frame.stretch}
        self._writer.start_epoch(number, frame.image_size, frame.clock, info)
        self._stretch = frame.stretch
        if self._trimmer is not None:
            if before is not None:
                self._trimmer.end(before.epoch)
            self._trimmer.begin(number)

    def _append(self, resolved: list[tuple[Storable, Tracks]]) -> None:
        for frame, tracks in resolved:
            before = self._writer.ledger.stored
            try:
                if self._trimmer is not None and self._trimmer.due():  # tracks go on over the cut
                    self._start_epoch(frame)
                self._writer.append(frame.frame_index, frame.timestamp_ns, tracks, frame.tracker)
            finally:
                self._undecided.remove(frame.frame_index)
                if self._writer.ledger.stored > before:  # also where the commit that followed failed
                    with self._fates:
                        self._stored.append((frame.frame_index, time.monotonic_ns()))
                else:
                    self._watch(frame.frame_index)

    def _commit(self) -> None:
        self._commit_at = time.monotonic() + COMMIT_S
        self._write_losses()
        self._writer.commit()

    def _write_losses(self) -> None:
        ledger, losses = self._writer.ledger, self._losses
        ledger.dropped, ledger.failed = dict(losses.dropped), dict(losses.failed)

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except RoadmaskError as error:
            self._stop(str(error))
        except Exception as error:  # a thread that ends would leave every frame undecided
            _log.exception("camera %s: storing broke", self._writer.camera)
            self._stop(f"storing broke: {error!r}")

    def _stop(self, why: str) -> None:
        self.problem, self._look_at = why, time.monotonic() + _LOOK_S
        _log.warning("camera %s: storing stopped, watching goes on: %s", self._writer.camera, why)
        self._backfill.flush()
        self._give_up_undecided()

    def _give_up_undecided(self) -> None:
        for frame_index in self._undecided:
            self._watch(frame_index)
        self._undecided.clear()

    def _watch(self, frame_index: int) -> None:
        with self._fates:
            self._watched.append(frame_index)

    def _short_of_disk(self) -> str:
        try:
            free = shutil.disk_usage(self._writer.folder).free
        except OSError as error:
            return f"{self._writer.folder} is gone ({error.strerror})"
        if free >= self._floor_bytes:
            return ""
        return f"{free / 1e6:.0f} MB of disk are free, storing needs {self._floor_bytes / 1e6:.0f}: make room"
