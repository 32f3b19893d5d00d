"""Actors that die, that die again while they are opened, and that hang."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import ray

from roadmask.streaming.live.restart import RestartableActor, StandbyPool
from roadmask.streaming.ray_actors import Actor, NotOpenError


class Sleeper(Actor):
    """Answers when it is told to."""

    async def sleep(self, seconds: float) -> str:
        """Returns after a while."""
        await asyncio.sleep(seconds)
        return "awake"


class Killed:
    """Stands for an actor; counts how often it was killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.killed: list[object] = []
        monkeypatch.setattr(ray, "kill", self.killed.append)


class Given(StandbyPool):
    """Hands out names for actors."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def take(self) -> Any:
        self.taken.append(f"actor {len(self.taken)}")
        return self.taken[-1]

    def refill(self) -> None:
        return


def test_successors_that_die_while_they_are_opened_are_given_up_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed, pool, opened = Killed(monkeypatch), Given(), []

    async def reopen(handle: str) -> None:
        opened.append(handle)
        if len(opened) < 5:
            raise NotOpenError("it died")

    async def run() -> int:
        actor = RestartableActor(pool, "segmenter", reopen)
        with pytest.raises(NotOpenError):
            await actor.restart(0)
        assert actor.generation == 0
        await actor.restart(0)
        return actor.generation

    assert asyncio.run(run()) == 1
    assert opened == pool.taken[1:]
    assert killed.killed == pool.taken[:-1]


def test_an_actor_that_hangs_is_killed(cluster: None) -> None:
    async def run() -> None:
        pool = StandbyPool(Sleeper)
        actor = RestartableActor(pool, "sleeper", lambda _: asyncio.sleep(0))
        assert await actor.answer(actor.handle.sleep.remote(0.0), 120.0) == "awake"
        with pytest.raises(NotOpenError, match="sleeper did not answer"):
            await actor.answer(actor.handle.sleep.remote(60.0), 0.5)
        await actor.restart(0)
        assert await actor.answer(actor.handle.sleep.remote(0.0), 120.0) == "awake"
        actor.kill()
        pool.close()

    asyncio.run(run())
