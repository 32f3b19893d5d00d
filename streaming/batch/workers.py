"""The interface of workers that record drives, and workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Protocol

from roadmask.streaming.batch.drive_worker import DriveTask, record_task
from roadmask.streaming.batch.outcome import DriveOutcome

REPORT_SECONDS = 0.5
"""Minimum time in seconds between two progress reports of a worker."""


@dataclass(frozen=True)
class Progressed:
    """Progress of a drive."""

    drive: str
    """Name of the drive."""
    frames: int
    """Number of frames recorded so far."""


@dataclass(frozen=True)
class Died:
    """The worker of a drive died."""

    drive: str
    """Name of the drive."""
    why: str
    """Reason as a clause, such as `its process was killed by SIGKILL`."""


Message = Progressed | Died | DriveOutcome


class Workers(Protocol):
    """Workers that record drives, several at the same time."""

    def free(self) -> int:
        """Returns how many more drives can be submitted now."""
        ...

    def submit(self, task: DriveTask) -> None:
        """Starts to record a drive."""
        ...

    def poll(self, seconds: float) -> list[Message]:
        """Returns new messages, after waiting for at most `seconds`."""
        ...

    def stop(self) -> None:
        """Asks all recordings to stop."""
        ...

    def close(self) -> None:
        """Kills all workers."""
        ...


def rate_limited(report: Callable[[int], None]) -> Callable[[int], None]:
    """Returns a function that passes calls on to `report`, at most one in `REPORT_SECONDS`."""
    last = 0.0

    def maybe(frames: int) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            report(frames)

    return maybe


class _Worker:
    """A process, the pipe to it, and the drive that it records."""

    def __init__(self, context: SpawnContext) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        # A terminal sends these to all processes; the batch decides. A child inherits what is blocked here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that the pipe ends when the process does
        self.drive: str | None = None


class LocalWorkers:
    """Workers that are processes of this machine. Each records one drive after the other; a dead one is replaced.

    They are spawned, not forked, because engines and stores do not survive a fork. They end when this process does.

    Args:
        count: maximum number of processes.
    """

    def __init__(self, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._workers: list[_Worker] = []

    @property
    def processes(self) -> dict[str, int]:
        """Drive -> id of the process that records it."""
        return {worker.drive: worker.process.pid or 0 for worker in self._workers if worker.drive is not None}

    def free(self) -> int:
        """Returns how many more drives can be submitted now."""
        return self._count - len(self.processes)

    def submit(self, task: DriveTask) -> None:
        """Gives a drive to a process that has none."""
        worker = next((worker for worker in self._workers if worker.drive is None), None)
        if worker is None:
            worker = _Worker(self._context)
            self._workers.append(worker)
        worker.drive = task.drive.name
        try:
            worker.pipe.send(task)
        except OSError:  # it died while idle, which `poll` notices
            return

    def poll(self, seconds: float) -> list[Message]:
        """Returns new messages, after waiting for at most `seconds`."""
        if not self._workers:
            return []
        by_pipe = {worker.pipe: worker for worker in self._workers}
        messages: list[Message] = []
        for pipe in wait(list(by_pipe), timeout=seconds):
            worker = by_pipe[pipe]  # type: ignore[index]  # only pipes were waited for
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                messages += self._remove_dead(worker)
                continue
            messages.append(message)
            if isinstance(message, DriveOutcome):
                worker.drive = None
        return messages

    def stop(self) -> None:
        """Asks all recordings to stop."""
        for worker in self._workers:
            try:
                worker.pipe.send(None)
            except OSError:
                continue

    def close(self) -> None:
        """Kills all processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def _remove_dead(self, worker: _Worker) -> list[Message]:
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode or 0
        why = f"ended with code {code}"
        if code < 0:
            why = f"was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                why += ", which the system does when memory runs out: reduce --workers"
        return [] if worker.drive is None else [Died(worker.drive, f"its process {why}")]


def _serve(pipe: Connection) -> None:
    """Runs in the process: records the drives that come through the pipe until it closes."""
    tasks: queue.Queue[DriveTask | None] = queue.Queue()
    stop = threading.Event()

    def listen() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):  # the batch is gone: this process must not write any more
                stop.set()
                tasks.put(None)
                return
            if message is None:
                stop.set()
            else:
                tasks.put(message)

    threading.Thread(target=listen, daemon=True).start()
    sending = threading.Lock()

    def send(message: Message) -> None:
        with sending:
            pipe.send(message)

    while (task := tasks.get()) is not None:
        name = task.drive.name
        try:
            send(record_task(task, stop, rate_limited(lambda frames, name=name: send(Progressed(name, frames)))))  # type: ignore[misc]
        except OSError:  # the batch is gone
            return
