"""An actor that is opened again whenever it died."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError, WorkerCrashedError

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.ray_actors import Actor, NotOpenError, start_actor

DEATHS = (RayActorError, WorkerCrashedError, NotOpenError)
"""What a call raises whose actor died, or came back empty."""
ANSWER_S = 10.0
"""How long to wait for an actor that may be dead."""
_RETRY_S = 0.1
_log = logging.getLogger(__name__)


class Revivable:
    """An actor that Ray restarts, and how to open it.

    Args:
        stage: class of the actor.
        name: for messages.
        reopen: opens it once Ray has restarted it; may be called several times for one death.
        concurrency: calls that it answers at the same time.
    """

    def __init__(
        self, stage: type[Actor], name: str, reopen: Callable[[Any], Awaitable[None]], *, concurrency: int = 1
    ) -> None:
        self.name = name
        self.deaths = 0
        self._options: dict[str, Any] = {"max_restarts": -1, "max_task_retries": 0}
        if concurrency > 1:
            self._options["max_concurrency"] = concurrency
        self.handle = start_actor(stage, **self._options)
        self._reopen = reopen
        self._lock = asyncio.Lock()
        self._generation = 0

    @property
    def generation(self) -> int:
        """Changes with each revival; tell `revive` which one was seen to die."""
        return self._generation

    async def ready(self) -> None:
        """Waits while it is being revived."""
        async with self._lock:
            return

    async def revive(self, generation: int) -> None:
        """Opens the actor again; whoever comes second for the same death waits until it is done.

        Raises:
            RoadmaskError: it cannot be opened any more.
        """
        async with self._lock:
            if generation != self._generation:
                return
            self.deaths += 1
            _log.warning("the %s died; it is started again", self.name)
            while True:
                try:
                    await self._reopen(self.handle)
                except DEATHS:
                    await asyncio.sleep(_RETRY_S)
                    continue
                break
            self._generation += 1

    def kill(self) -> None:
        """Ends it for good."""
        ray.kill(self.handle, no_restart=True)


def own_error(error: BaseException) -> BaseException:
    """Returns what an actor raised, without Ray's wrapping."""
    cause: BaseException = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    return cause if isinstance(cause, RoadmaskError) else error


async def awaited(reference: Any) -> Any:
    """Returns what a call returns, as a coroutine."""
    return await reference


async def within(reference: Any, seconds: float = ANSWER_S) -> None:
    """Waits for an actor that may be dead."""
    try:
        await asyncio.wait_for(awaited(reference), seconds)
    except (RayError, RoadmaskError, TimeoutError) as error:
        _log.debug("no answer: %s", type(error).__name__)
