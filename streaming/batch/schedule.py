"""Gives drives to workers until each has an outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from roadmask.engines.errors import StoreError
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.recording import DriveTask
from roadmask.streaming.batch.workers import Died, Message, Progressed, Workers

ATTEMPTS = 3
"""How often a drive is begun whose worker dies: a drive that kills its worker must not do so for ever."""
LOCK_SECONDS = 180.0
"""How long a drive waits for a writer that should be dead: file servers notice within a minute or two."""
POLL_SECONDS = 0.25
_log = logging.getLogger(__name__)


@dataclass
class BatchView:
    """How far a batch has come; what a progress view shows."""

    outcomes: dict[str, DriveOutcome] = field(default_factory=dict)
    """Drives that have ended, those that were finished before included."""
    running: dict[str, int] = field(default_factory=dict)
    """Drive that is being recorded -> frames so far."""
    expected: dict[str, int | None] = field(default_factory=dict)
    """Drive -> frames it should have."""
    out_error: str = ""
    """Why nothing can be written any more, if so."""


OnChange = Callable[[BatchView, DriveOutcome | None], None]
"""Called often with the view, and with an outcome when a drive has ended."""


def run_tasks(
    tasks: Sequence[DriveTask],
    workers: Workers,
    view: BatchView,
    *,
    require_writable: Callable[[], None],
    stop: threading.Event,
    on_change: OnChange = lambda _view, _outcome: None,
) -> None:
    """Records all tasks; one that fails never stops the others.

    A drive whose worker dies is begun again, `ATTEMPTS` times in all. When a store fails and nothing more can be
    written where stores go, the batch ends.

    Args:
        tasks: in the order they are begun.
        workers: who records them.
        view: kept up to date.
        require_writable: raises StoreError where finished stores cannot be written.
        stop: set it to end early.
        on_change: called often with the view, and with an outcome when a drive has ended.
    """
    _Schedule(tasks, workers, view, require_writable, stop, on_change).run()


class _Schedule:
    """The drives that wait, those that run, and what is known of each."""

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
        """Goes on until every drive has an outcome."""
        told = False
        while self._waiting or self._running:
            if self._stop.is_set() and not told:
                self._workers.stop()
                told = True
            if told:
                while self._waiting:
                    name = self._waiting.popleft().drive.name
                    self._end(DriveOutcome(name, "waiting", "not begun; the same command goes on"))
            else:
                self._submit()
            if not self._running:
                time.sleep(POLL_SECONDS)  # everything waits for a lock, or for a node to join
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
            self._bury(task, message)
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
                self._look_at_disk()

    def _bury(self, task: DriveTask, message: Died) -> None:
        _log.warning("%s: %s (attempt %d of %d)", message.drive, message.why, task.attempts, ATTEMPTS)
        if task.attempts < ATTEMPTS:
            self._waiting.append(replace(task, attempts=task.attempts + 1))
            return
        why = f"{ATTEMPTS} attempts ended the same way: {message.why}"
        self._end(DriveOutcome(message.drive, "failed", why, attempts=task.attempts))

    def _look_at_disk(self) -> None:
        try:
            self._require_writable()
        except StoreError as error:
            self._view.out_error = str(error)
            self._stop.set()

    def _end(self, outcome: DriveOutcome) -> None:
        self._view.outcomes[outcome.drive] = outcome
        self._on_change(self._view, outcome)
