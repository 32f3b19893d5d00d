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
"""What a call raises if its actor died, or if the actor's successor could not be opened yet."""
_TRIES, _RETRY_S = 3, 0.5
"""How many successors in a row may die while they are opened, and the pause between them in seconds."""
_REFILL_S = 5.0
_FAILED_S = 1.0
_log = logging.getLogger(__name__)


class StandbyPool:
    """Actors of one kind. One stands by: it has Python, Ray and its imports loaded when another one dies.

    To have Ray restart an actor takes seconds longer: it starts Python only then, and answers only after deadlines.

    Args:
        stage: class of the actors.
    """

    def __init__(self, stage: type[Actor]) -> None:
        self._stage = stage
        self._waiting: list[Any] = []
        self._refilling: asyncio.TimerHandle | None = None

    def start(self, count: int) -> None:
        """Starts this many actors at the same time."""
        self._waiting += [start_actor(self._stage) for _ in range(count)]

    def take(self) -> Any:
        """Returns an actor that is not open yet: one that stands by, if there is one."""
        if not self._waiting:
            self.start(1)
        return self._waiting.pop()

    def refill(self) -> None:
        """Starts a standby actor soon; whoever was just opened gets the processor first."""
        if not self._waiting and self._refilling is None:
            self._refilling = asyncio.get_running_loop().call_later(_REFILL_S, self._refill)

    def close(self) -> None:
        """Ends the actors that nobody took."""
        if self._refilling is not None:
            self._refilling.cancel()
        for handle in self._waiting:
            ray.kill(handle)

    def _refill(self) -> None:
        self._refilling = None
        self.start(1)


class RestartableActor:
    """An actor that is replaced when it dies, and how to open its successor.

    Args:
        pool: where it comes from.
        name: what messages call it.
        reopen: opens a successor; may be called several times for one death.
    """

    def __init__(self, pool: StandbyPool, name: str, reopen: Callable[[Any], Awaitable[None]]) -> None:
        self.name = name
        self._pool = pool
        self.handle = pool.take()
        self._reopen = reopen
        self._lock = asyncio.Lock()
        self._generation = 0
        self._unopened = False

    @property
    def generation(self) -> int:
        """Number of restarts; tell `restart` which generation was seen to die."""
        return self._generation

    async def ready(self) -> None:
        """Waits while it is being restarted."""
        async with self._lock:
            return

    async def restart(self, generation: int) -> None:
        """Opens a successor; whoever comes second for the same death waits until it is open.

        Raises:
            RoadmaskError: the successor cannot be opened; call again to try again.
            RayError: several successors in a row died while they were opened; call again to try again.
        """
        async with self._lock:
            if generation != self._generation:
                return
            for left in reversed(range(_TRIES)):
                if not self._unopened:
                    _log.warning("the %s died; another one takes its place", self.name)
                    self.kill()
                    self.handle, self._unopened = self._pool.take(), True
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
            self._pool.refill()

    async def try_restart(self, generation: int) -> bool:
        """Restarts it; returns False if that is not possible now, as for a recorder on a full disk: try again later."""
        try:
            await self.restart(generation)
        except (RayError, RoadmaskError) as error:
            _log.error("the %s cannot be started again: %s", self.name, own_error(error))
            await asyncio.sleep(_FAILED_S)
            return False
        return True

    async def answer(self, reference: Any, seconds: float) -> Any:
        """Waits for what a call returns; an actor that hangs is killed, so that another one can take its place.

        Raises:
            NotOpenError: there was no answer in time.
            Whatever the call raises, one of `DEATHS` if the actor died.
        """
        try:
            return await asyncio.wait_for(asyncio.wrap_future(reference.future()), seconds)
        except TimeoutError:
            _log.warning("the %s has not answered for %.0f s and is killed", self.name, seconds)
            self.kill()
            raise NotOpenError(f"the {self.name} did not answer in {seconds:.0f} s.") from None

    def kill(self) -> None:
        """Ends it."""
        ray.kill(self.handle)


def own_error(error: BaseException) -> BaseException:
    """Returns what an actor raised, without Ray's wrapping."""
    cause: BaseException = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    return cause if isinstance(cause, RoadmaskError) else error
