"""Who records drives: what the scheduler asks of its workers, and workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Protocol

from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.recording import DriveTask, record_task

REPORT_SECONDS = 0.5
"""How often a worker says how far it has come."""


@dataclass(frozen=True)
class Progressed:
    """A drive has come this far."""

    drive: str
    frames: int


@dataclass(frozen=True)
class Died:
    """The process that recorded a drive is gone."""

    drive: str
    why: str


Message = Progressed | Died | DriveOutcome


class Workers(Protocol):
    """Record drives, several at a time."""

    def free(self) -> int:
        """Returns how many more drives can be submitted now."""
        ...

    def submit(self, task: DriveTask) -> None:
        """Begins a drive."""
        ...

    def poll(self, seconds: float) -> list[Message]:
        """Waits for news, this long at most."""
        ...

    def stop(self) -> None:
        """Asks all drives to end early."""
        ...

    def close(self) -> None:
        """Ends every worker at once."""
        ...


def spaced(report: Callable[[int], None]) -> Callable[[int], None]:
    """Returns what passes on only as many calls as anybody looks at."""
    last = 0.0

    def maybe(frames: int) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            report(frames)

    return maybe


class _Worker:
    """A process, the pipe to it, and the drive it records."""

    def __init__(self, context: multiprocessing.context.SpawnContext) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.drive: str | None = None


class LocalWorkers:
    """Processes of this machine. Each records drive after drive; one that dies is replaced.

    They are spawned, never forked: neither engines nor stores outlive a fork. When this process is gone they end.
    """

    def __init__(self, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._workers: list[_Worker] = []
        self._stopping = False

    @property
    def processes(self) -> dict[str, int]:
        """Process id of each drive that is being recorded."""
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
        """Waits for news, this long at most."""
        if not self._workers:
            return []
        by_pipe = {worker.pipe: worker for worker in self._workers}
        messages: list[Message] = []
        for pipe in wait(list(by_pipe), timeout=seconds):
            worker = by_pipe[pipe]  # type: ignore[index]  # only pipes were waited for
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                messages += self._buried(worker)
                continue
            messages.append(message)
            if isinstance(message, DriveOutcome):
                worker.drive = None
        return messages

    def stop(self) -> None:
        """Asks all drives to end early."""
        for worker in self._workers:
            try:
                worker.pipe.send(None)
            except OSError:
                continue

    def close(self) -> None:
        """Ends every process at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def _buried(self, worker: _Worker) -> list[Message]:
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode or 0
        why = f"ended with code {code}"
        if code < 0:
            why = f"was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                why += ", as the system does when memory runs out: try fewer --workers"
        return [] if worker.drive is None else [Died(worker.drive, f"its process {why}")]


def _serve(pipe: Connection) -> None:
    """Runs in the process: records what comes through the pipe until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everyone; the batch decides
    tasks: queue.Queue[DriveTask | None] = queue.Queue()
    stop = threading.Event()

    def listen() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):  # who sent the drives is gone: nobody may write any more
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
            send(record_task(task, stop, spaced(lambda frames, name=name: send(Progressed(name, frames)))))  # type: ignore[misc]
        except OSError:  # nobody listens any more
            return
