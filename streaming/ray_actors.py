"""What all uses of Ray share: actors without logic, their logs, their errors, and a Ray session to run them in."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from unittest.mock import patch

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from roadmask.engines.errors import RoadmaskError, RunError
from roadmask.streaming.ray_start import give_token, why_not_started

_log = logging.getLogger("roadmask")


class NotOpenError(RunError):
    """An actor was used before it was opened, or could not be opened."""


class Actor:
    """Base of all actors: the driver's folder, one OpenCV thread, and a log that the driver fetches.

    Constructors of actors do nothing that can fail, because Ray would not say why. `open` does.
    """

    def __init__(self, cwd: str) -> None:
        os.chdir(cwd)  # relative paths mean the same as in the driver, also on a Ray that was started elsewhere
        cv2.setNumThreads(1)
        self._records: SimpleQueue[logging.LogRecord] = SimpleQueue()
        logger = logging.getLogger("roadmask")
        logger.addHandler(QueueHandler(self._records))
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def drain_log(self) -> list[logging.LogRecord]:
        """Returns the records logged since the last call."""
        return [self._records.get() for _ in range(self._records.qsize())]


def start_actor(stage: type[Actor], **options: Any) -> Any:
    """Starts an actor and returns its handle.

    It takes no CPU from Ray's budget: the engine's threads are set, and the other actors mostly wait. Task events are
    off: Ray would remember each call for a dashboard that does not run, and live cameras make millions of calls.
    """
    return ray.remote(stage).options(num_cpus=0, enable_task_events=False, **options).remote(str(Path.cwd()))


class LogDrain:
    """Fetches what actors log. An actor that is blocked answers later; nothing waits for it, and no record is lost."""

    def __init__(self) -> None:
        self._asked: dict[Any, Any] = {}

    def records(self, actors: Sequence[Any]) -> list[logging.LogRecord]:
        """Returns the records logged since the last call, of the actors that answer within a second."""
        for actor in actors:
            if actor not in self._asked:
                self._asked[actor] = actor.drain_log.remote()
        answers = list(self._asked.values())
        ended, _ = ray.wait(answers, num_returns=len(answers), timeout=1)
        drained: list[logging.LogRecord] = []
        for answer in ended:
            try:
                drained += ray.get(answer)
            except RayError:  # an actor that died has no log; the call that it failed raises the error
                continue
        over = set(ended)
        self._asked = {actor: answer for actor, answer in self._asked.items() if answer not in over}
        return drained

    def pass_on(self, actors: Sequence[Any]) -> None:
        """Logs here what the actors logged there."""
        for record in self.records(actors):
            _log.handle(record)


@contextmanager
def own_errors() -> Iterator[None]:
    """Turns Ray's errors into the error raised in the actor's process, or into a `RunError` that says what died."""
    try:
        yield
    except RayError as error:
        cause: BaseException = error
        while isinstance(cause, RayTaskError):
            cause = cause.cause
        if isinstance(cause, RoadmaskError):
            raise cause from None
        if not isinstance(cause, RayError):
            raise
        summary = str(cause).strip().splitlines()[0]
        raise RunError(
            f"a process of the run died ({type(cause).__name__}: {summary}); what is committed is safe: check "
            "that the machine has enough memory, or run with --no-ray."
        ) from error


class _Starting:
    """Whether this process starts Ray now; its children then leave the terminal and the process group."""

    now = False

    def leave_group(self) -> None:
        """Runs in each child after a fork: what a terminal sends to all processes is for this one to decide."""
        if self.now:
            os.setsid()


_starting = _Starting()
os.register_at_fork(after_in_child=_starting.leave_group)


@contextmanager
def own_signals() -> Iterator[None]:
    """Keeps this process's handler of SIGTERM, and signals to it from what Ray starts.

    Ray would set two handlers of its own, one of which prints a stack trace of C++.
    """
    _starting.now = True
    try:
        with (
            patch("ray._private.utils.set_sigterm_handler", lambda _: None, create=True),
            patch("ray._private.ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER", True, create=True),
        ):
            yield
    finally:
        _starting.now = False


@contextmanager
def ray_session() -> Iterator[None]:
    """Uses the Ray that this process is connected to, or starts one for as long as the context lasts."""
    if ray.is_initialized():
        yield
        return
    give_token()
    since, on_sigterm = time.time(), signal.getsignal(signal.SIGTERM)
    try:
        with own_signals():
            ray.init(
                address="local",  # whatever RAY_ADDRESS says: to use a cluster, connect to it first
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=512 * 2**20,
                # Images that are no longer needed are freed at once, not once a second: a second of images is much
                # memory. Ray would run its workers at nice 15, where the engine loses to everything else.
                _system_config={"free_objects_period_milliseconds": 50, "worker_niceness": 0},
            )
    except Exception as error:  # Ray reports failures of its processes as bare exceptions of several types
        raise RunError(why_not_started(error, since)) from error
    if callable(on_sigterm) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would abort this process and leave the store open
    try:
        yield
    finally:
        ray.shutdown()
