"""Stores one live camera in a thread of its own, and steps aside when the disk will not take more.

A commit flushes files to the disk, which takes as long as the disk likes: nobody who watches waits for it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.streaming.ledger import Ledger, Outcome
from roadmask.streaming.live.ledger import WATCHED
from roadmask.streaming.live.store_sink import LiveStoreSink
from roadmask.streaming.sinks.sink import TrackedFrame
from roadmask.tracking import Backfill, Tracks

COMMIT_S = 3.0
"""Seconds within which what is stored becomes readable and safe."""
WAITING_MAX = 64
"""Maximum number of frames that wait for the disk; further ones are only watched."""
_LOOK_S = 1.0
_log = logging.getLogger(__name__)


class StoreWorker:
    """Takes tracked frames; backfills, stores and commits them.

    A store that refuses, or a disk that is nearly full, stops storing: frames are then only watched. What the store has
    taken by then stays buffered; storing goes on once that could be written. A store that refused frames while the disk
    was fine says so when it is closed.

    Args:
        camera: name of the camera, for messages.
        sink: its store, opened; used by the thread alone until `close`.
    """

    def __init__(self, camera: str, sink: LiveStoreSink) -> None:
        self._camera = camera
        self._sink = sink
        self._queue: queue.Queue[TrackedFrame | None] = queue.Queue(WAITING_MAX)
        self._backfill: Backfill[TrackedFrame] = Backfill()
        self._epoch: int | None = None
        self._undecided: deque[int] = deque()
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._look_at = 0.0
        self._commit_at = time.monotonic() + COMMIT_S
        self.problem = ""
        """Why nothing is stored now; empty while storing."""
        self._refusal = ""
        """The first error that did not come from the disk."""
        self._refusing = False
        self._refused = self._watched = 0
        self._thread = threading.Thread(target=self._run, name=f"storing-{camera}", daemon=True)
        self._thread.start()

    def put(self, tracked: TrackedFrame) -> None:
        """Takes the next frame; returns at once."""
        try:
            self._queue.put_nowait(tracked)
        except queue.Full:
            self._watch(tracked.frame.frame_index)

    def note(self, ledger: Ledger) -> None:
        """Takes the ledger whose losses the next commit writes."""
        self._sink.ledger = ledger

    def outcomes(self) -> list[Outcome]:
        """Returns what became of frames since this was last called."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def finish(self) -> None:
        """Decides every frame that was put; no more may come."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def close(self, ledger: Ledger) -> None:
        """Commits and closes the camera's store, after `finish`.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: the store cannot be written, or refused frames; what was committed before is safe.
        """
        self.note(ledger)
        self._sink.close(ledger.captured)
        if self._refusal:
            count = f"{self._refused} frame{'' if self._refused == 1 else 's'}"
            raise StoreError(
                f"the store refused {count} though the disk took them, so they were only watched: "
                f"{self._refusal.rstrip('.')}. The frames that were stored are safe; report this as a bug."
            )

    def abort(self) -> None:
        """Commits what it can and lets go."""
        self.finish()
        self._sink.abort()

    def _run(self) -> None:
        while True:
            try:
                tracked = self._queue.get(timeout=_LOOK_S / 4)
            except queue.Empty:
                self._look()
                continue
            if tracked is None:
                break
            self._look()
            if self.problem:
                self._watch(tracked.frame.frame_index)
            else:
                self._guarded(lambda tracked=tracked: self._store(tracked))  # type: ignore[misc]
        if not self.problem:
            self._guarded(self._flush)
        self._give_up_undecided()

    def _look(self) -> None:
        """Commits what is due; stops below the floor of free disk, goes on above it."""
        self._sink.note_captured()
        now = time.monotonic()
        if not self.problem and now >= self._commit_at:
            self._guarded(self._commit)
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        self._sink.trim()
        short = self._sink.short_of_disk()
        if self.problem and not short:
            try:
                self._commit()
            except Exception as error:  # whatever storing failed on is still there
                _log.debug("camera %s: storing cannot go on: %r", self._camera, error)
                return
            _log.warning("camera %s: storing goes on", self._camera)
            self.problem, self._refusing = "", False
        elif short and not self.problem:
            self._guarded(self._flush)
            self._guarded(self._commit)
            self._stop(short)

    def _store(self, tracked: TrackedFrame) -> None:
        self._undecided.append(tracked.frame.frame_index)
        if tracked.frame.epoch != self._epoch:
            self._flush()
            self._epoch = tracked.frame.epoch
        self._write(self._backfill.push(tracked, tracked.tracks))

    def _flush(self) -> None:
        self._write(self._backfill.flush())

    def _write(self, resolved: list[tuple[TrackedFrame, Tracks]]) -> None:
        for tracked, tracks in resolved:
            index, before = tracked.frame.frame_index, self._sink.stored
            try:
                self._sink.write(TrackedFrame(tracked.frame, tracks, tracked.tracker))
            finally:
                self._undecided.remove(index)
                if self._sink.stored > before:  # also where the commit that followed failed
                    self._decide(Outcome(index, "stored", monotonic_ns=time.monotonic_ns()))
                else:
                    self._watch(index)

    def _commit(self) -> None:
        self._commit_at = time.monotonic() + COMMIT_S
        self._sink.commit()

    def _guarded(self, write: Callable[[], None]) -> None:
        watched = self._watched
        try:
            write()
        except RoadmaskError as error:
            if not isinstance(error.__cause__, OSError):
                self._refuse(str(error), self._watched - watched)
            self._stop(str(error))
        except Exception as error:  # a thread that ends would leave every frame undecided
            _log.exception("camera %s: storing failed", self._camera)
            if not isinstance(error, OSError):
                self._refuse(repr(error), self._watched - watched)
            self._stop(f"storing failed: {error!r}")

    def _refuse(self, why: str, frames: int) -> None:
        """Notes that the store, and not the disk, is why frames are only watched from now on."""
        self._refusal = self._refusal or why
        self._refusing = True
        self._refused += frames

    def _stop(self, why: str) -> None:
        self.problem, self._look_at = why, time.monotonic() + _LOOK_S
        _log.warning("camera %s: storing stopped, watching goes on: %s", self._camera, why)
        self._backfill.flush()
        self._give_up_undecided()

    def _give_up_undecided(self) -> None:
        for frame_index in self._undecided:
            self._watch(frame_index)
        self._undecided.clear()

    def _watch(self, frame_index: int) -> None:
        self._watched += 1
        self._refused += self._refusing
        self._decide(Outcome(frame_index, "dropped", WATCHED))

    def _decide(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
