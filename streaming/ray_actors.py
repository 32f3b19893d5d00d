"""What everything on Ray shares: actors without logic, their logs, their errors, and a Ray to run them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from roadmask.engines.errors import RoadmaskError, RunError

_log = logging.getLogger("roadmask")


class NotOpenError(RunError):
    """An actor is empty: it was not opened yet, or could not be."""


class Actor:
    """What all actors share: the driver's folder, one OpenCV thread, and a log that the driver fetches.

    Constructors of actors do nothing that can fail: Ray would not say why. `open` does.
    """

    def __init__(self, cwd: str) -> None:
        os.chdir(cwd)  # paths mean what they mean to the driver, also on a Ray that was started elsewhere
        cv2.setNumThreads(1)
        self._records: SimpleQueue[logging.LogRecord] = SimpleQueue()
        logger = logging.getLogger("roadmask")
        logger.addHandler(QueueHandler(self._records))
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def drain_log(self) -> list[logging.LogRecord]:
        """Returns what was logged since it was last called."""
        return [self._records.get() for _ in range(self._records.qsize())]


def start_actor(stage: type[Actor], **options: Any) -> Any:
    """Starts an actor. It takes no CPU from Ray's budget: the engine's threads are set, and the others mostly wait.

    Ray would remember each call of it for a dashboard that is not there; live cameras make millions.
    """
    return ray.remote(stage).options(num_cpus=0, enable_task_events=False, **options).remote(str(Path.cwd()))


class LogDrain:
    """Fetches what actors log. An actor that is blocked answers later, so nobody waits for it, and nothing is lost."""

    def __init__(self) -> None:
        self._asked: dict[Any, Any] = {}

    def records(self, actors: Sequence[Any]) -> list[logging.LogRecord]:
        """Returns what was logged since, as far as the actors answer within a second."""
        for actor in actors:
            if actor not in self._asked:
                self._asked[actor] = actor.drain_log.remote()
        answers = list(self._asked.values())
        ended, _ = ray.wait(answers, num_returns=len(answers), timeout=1)
        drained: list[logging.LogRecord] = []
        for answer in ended:
            try:
                drained += ray.get(answer)
            except RayError:  # an actor that died has no log; what it broke says so itself
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
    """Turns Ray's errors into those that their cause raised in its process, or into one that says what died."""
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
            f"a process of the run died ({type(cause).__name__}: {summary}); what is committed is safe: look for a "
            "lack of memory, or run with --no-ray."
        ) from error


@contextmanager
def ray_session() -> Iterator[None]:
    """Uses the Ray this process is connected to, or starts one for as long as it lasts."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address="local",  # whatever RAY_ADDRESS says: a cluster is joined by who connects to it before
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=512 * 2**20,
            # Images that nobody needs are let go at once, not once a second: a second of them is much memory. Ray
            # would run its workers at nice 15, where the engine loses to whatever else the machine does.
            _system_config={"free_objects_period_milliseconds": 50, "worker_niceness": 0},
        )
    except Exception as error:  # whatever Ray's processes tripped over, it says so in one bare exception or another
        raise RunError(
            f"Ray did not start ({str(error).strip().splitlines()[0]}): it gives up after a minute, so try again when "
            "the machine is less busy; `roadmask run --no-ray` does without it."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
