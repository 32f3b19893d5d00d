"""Actors that are replaced when they die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError, WorkerCrashedError

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.ray_actors import Actor, NotOpenError, start_actor

DEATHS = (RayActorError, WorkerCrashedError, OutOfMemoryError, NotOpenError)
"""What a call raises whose actor died, or whose successor could not be opened yet."""
ANSWER_S = 10.0
"""How long to wait for an actor that may be dead."""
_TRIES, _RETRY_S = 3, 0.5
"""How many successors in a row may die while they are opened, and the pause between them."""
_REFILL_S = 5.0
_FAILED_S = 1.0
_log = logging.getLogger(__name__)


class Spares:
    """Actors of one kind. One is started ahead: it has Python, Ray and its imports behind it when another one dies.

    To have Ray restart an actor takes seconds more: it starts Python then, and answers calls only after deadlines.

    Args:
        stage: class of the actors.
        concurrency: calls that each answers at the same time.
    """

    def __init__(self, stage: type[Actor], *, concurrency: int = 1) -> None:
        self._stage = stage
        self._options = {"max_concurrency": concurrency} if concurrency > 1 else {}
        self._waiting: list[Any] = []
        self._refilling: asyncio.TimerHandle | None = None

    def start(self, count: int) -> None:
        """Starts as many as will soon be taken, all at the same time."""
        self._waiting += [start_actor(self._stage, **self._options) for _ in range(count)]

    def take(self) -> Any:
        """Returns an actor that is not open: one that was started ahead, if there is one."""
        if not self._waiting:
            self.start(1)
        return self._waiting.pop()

    def refill(self) -> None:
        """Starts a spare one soon; whoever was just opened gets the processor first."""
        if not self._waiting and self._refilling is None:
            self._refilling = asyncio.get_running_loop().call_later(_REFILL_S, self._refill)

    def close(self) -> None:
        """Ends those that nobody took."""
        if self._refilling is not None:
            self._refilling.cancel()
        for handle in self._waiting:
            ray.kill(handle)

    def _refill(self) -> None:
        self._refilling = None
        self.start(1)


class Revivable:
    """An actor that is replaced when it dies, and how to open its successor.

    Args:
        spares: where it comes from.
        name: for messages.
        reopen: opens it; may be called several times for one death.
    """

    def __init__(self, spares: Spares, name: str, reopen: Callable[[Any], Awaitable[None]]) -> None:
        self.name = name
        self._spares = spares
        self.handle = spares.take()
        self._reopen = reopen
        self._lock = asyncio.Lock()
        self._generation = 0
        self._unopened = False

    @property
    def generation(self) -> int:
        """Changes with each revival; tell `revive` which one was seen to die."""
        return self._generation

    async def ready(self) -> None:
        """Waits while it is being revived."""
        async with self._lock:
            return

    async def revive(self, generation: int) -> None:
        """Opens a successor; whoever comes second for the same death waits until it is done.

        Raises:
            RoadmaskError: it cannot be opened; call again to try again.
            RayError: so many successors died while they were opened; call again to try again.
        """
        async with self._lock:
            if generation != self._generation:
                return
            for left in reversed(range(_TRIES)):
                if not self._unopened:
                    _log.warning("the %s died; another one takes its place", self.name)
                    self.kill()
                    self.handle, self._unopened = self._spares.take(), True
                try:
                    await self._reopen(self.handle)
                    break
                except DEATHS:
                    self._unopened = False
                    if not left:
                        raise
                    await asyncio.sleep(_RETRY_S)
            self._unopened = False
            self._generation += 1
            self._spares.refill()

    def kill(self) -> None:
        """Ends it."""
        ray.kill(self.handle)


async def revived(actor: Revivable, generation: int) -> bool:
    """Revives an actor; returns False where it cannot be opened, as a recorder on a full disk: try again later."""
    try:
        await actor.revive(generation)
    except (RayError, RoadmaskError) as error:
        _log.error("the %s cannot be started again: %s", actor.name, own_error(error))
        await asyncio.sleep(_FAILED_S)
        return False
    return True


def own_error(error: BaseException) -> BaseException:
    """Returns what an actor raised, without Ray's wrapping."""
    cause: BaseException = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    return cause if isinstance(cause, RoadmaskError) else error


async def answered(actor: Revivable, reference: Any, seconds: float) -> Any:
    """Waits for what a call returns; an actor that hangs is killed, so that another one can take its place.

    Raises:
        NotOpenError: it did not answer in time.
        Whatever the call raises, one of `DEATHS` where the actor died.
    """
    try:
        return await asyncio.wait_for(awaited(reference), seconds)
    except TimeoutError:
        _log.warning("the %s has not answered for %.0f s and is killed", actor.name, seconds)
        actor.kill()
        raise NotOpenError(f"the {actor.name} did not answer in {seconds:.0f} s.") from None


async def awaited(reference: Any) -> Any:
    """Returns what a call returns, as a coroutine."""
    return await reference


async def within(reference: Any, seconds: float = ANSWER_S) -> None:
    """Waits for an actor that may be dead."""
    try:
        await asyncio.wait_for(awaited(reference), seconds)
    except (RayError, RoadmaskError, TimeoutError) as error:
        _log.debug("no answer: %s", type(error).__name__)
