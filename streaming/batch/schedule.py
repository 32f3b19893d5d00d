"""Gives drives to workers until every drive has an outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from roadmask.engines.errors import StoreError
from roadmask.streaming.batch.drive_worker import DriveTask
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.workers import Died, Message, Progressed, Workers

ATTEMPTS = 3
"""Maximum number of workers that a drive is given to: one that kills its worker must not do so forever."""
LOCK_SECONDS = 180.0
"""Time in seconds that a drive waits for the lock of a dead writer: file servers release it within two minutes."""
POLL_SECONDS = 0.25
_log = logging.getLogger(__name__)


@dataclass
class BatchView:
    """Progress of a batch."""

    outcomes: dict[str, DriveOutcome] = field(default_factory=dict)
    """Drive -> outcome, of all drives that have ended or were finished before."""
    running: dict[str, int] = field(default_factory=dict)
    """Drive -> number of frames recorded so far, of all drives that are being recorded."""
    expected: dict[str, int | None] = field(default_factory=dict)
    """Drive -> number of frames that its files state; None if they do not."""
    out_error: str = ""
    """Why the batch ended because nothing could be written any more; empty if it did not."""


OnChange = Callable[[BatchView, DriveOutcome | None], None]
"""Called several times a second with the progress, and with an outcome when a drive has ended."""


def run_tasks(
    tasks: Sequence[DriveTask],
    workers: Workers,
    view: BatchView,
    *,
    require_writable: Callable[[], None],
    stop: threading.Event,
    on_change: OnChange = lambda _view, _outcome: None,
) -> None:
    """Records all drives. One that fails does not stop the others.

    A drive whose worker dies is given to another, to at most `ATTEMPTS` workers in total. When a store fails and the
    folder of the stores cannot be written any more, the batch ends.

    Args:
        tasks: drives in the order to start them.
        workers: workers that record the drives.
        view: progress, which is updated in place.
        require_writable: raises StoreError if finished stores cannot be written.
        stop: event that ends the batch early when set.
        on_change: called several times a second with the progress, and with an outcome when a drive has ended.
    """
    _Schedule(tasks, workers, view, require_writable, stop, on_change).run()


class _Schedule:
    """Drives that wait, drives that are being recorded, and when to try locked ones again."""

    def __init__(
        self,
        tasks: Sequence[DriveTask],
        workers: Workers,
        view: BatchView,
        require_writable: Callable[[], None],
        stop: threading.Event,
        on_change: OnChange,
    ) -> None:
        self._waiting = deque(tasks)
        self._running: dict[str, DriveTask] = {}
        self._workers = workers
        self._view = view
        self._require_writable = require_writable
        self._stop = stop
        self._on_change = on_change
        self._locked_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}

    def run(self) -> None:
        """Returns when every drive has an outcome."""
        stopping = False
        while self._waiting or self._running:
            if self._stop.is_set() and not stopping:
                self._workers.stop()
                stopping = True
            if stopping:
                while self._waiting:
                    name = self._waiting.popleft().drive.name
                    self._end(DriveOutcome(name, "waiting", "not started; run the same command again to record it"))
            else:
                self._submit()
            if not self._running:
                time.sleep(POLL_SECONDS)  # all drives wait for a lock, or for a node to join
            for message in self._workers.poll(POLL_SECONDS):
                self._take(message)
            self._on_change(self._view, None)

    def _submit(self) -> None:
        for _ in range(min(self._workers.free(), len(self._waiting))):
            task = self._waiting.popleft()
            if self._not_before.get(task.drive.name, 0) > time.monotonic():
                self._waiting.append(task)
                continue
            self._running[task.drive.name] = task
            self._view.running[task.drive.name] = 0
            self._workers.submit(task)

    def _take(self, message: Message) -> None:
        if isinstance(message, Progressed):
            if message.drive in self._running:
                self._view.running[message.drive] = message.frames
            return
        task = self._running.pop(message.drive)
        self._view.running.pop(message.drive, None)
        if isinstance(message, Died):
            self._retry(task, message)
        elif message.status == "locked":
            since = self._locked_since.setdefault(message.drive, time.monotonic())
            if time.monotonic() - since >= LOCK_SECONDS:
                self._end(replace(message, status="failed"))
                return
            self._not_before[message.drive] = time.monotonic() + 1
            self._waiting.append(task)
        else:
            self._end(message)
            if message.store_failed:
                self._check_writable()

    def _retry(self, task: DriveTask, message: Died) -> None:
        _log.warning("%s: %s (attempt %d of %d)", message.drive, message.why, task.attempts, ATTEMPTS)
        if task.attempts < ATTEMPTS:
            self._waiting.append(replace(task, attempts=task.attempts + 1))
            return
        why = f"{ATTEMPTS} workers died recording this drive, the last because {message.why}"
        self._end(DriveOutcome(message.drive, "failed", why, attempts=task.attempts))

    def _check_writable(self) -> None:
        try:
            self._require_writable()
        except StoreError as error:
            self._view.out_error = str(error)
            self._stop.set()

    def _end(self, outcome: DriveOutcome) -> None:
        self._view.outcomes[outcome.drive] = outcome
        self._on_change(self._view, outcome)
