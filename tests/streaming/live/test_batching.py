"""One engine for many cameras: who shares a batch, how long it waits, and who is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from roadmask.engines import Instances
from roadmask.engines.segmenter import Image
from roadmask.streaming.live.batching import LiveBatcher
from roadmask.streaming.segmentation import FailedSegmentation, Segmentation
from support.simulated_time import SimulatedClock

SIZE = (4, 4)
CLOCK = SimulatedClock()


@pytest.fixture(autouse=True)
def _simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadmask.streaming.live.batching.time", CLOCK)


class Engine:
    """Takes `alone_s` for an image and `more_s` for each further one of a batch."""

    def __init__(self, alone_s: float = 0.02, more_s: float = 0.02) -> None:
        self.alone_s, self.more_s = alone_s, more_s
        self.batches: list[list[int]] = []

    def __call__(self, images: Sequence[Image]) -> list[Segmentation]:
        CLOCK.sleep(self.alone_s + self.more_s * (len(images) - 1))
        self.batches.append([int(image[0, 0, 0]) for image in images])
        return [FailedSegmentation("poisoned") if image[0, 0, 0] == 13 else Instances.empty(SIZE) for image in images]


def shot(value: int) -> Image:
    return np.full((*SIZE, 3), value, np.uint8)


def warm(batcher: LiveBatcher) -> object:
    return batcher("warm", shot(0), CLOCK.monotonic_ns())


def test_frames_that_come_together_share_a_batch() -> None:
    engine = Engine(alone_s=0.01, more_s=0.03)  # a batch takes more than twice as long as its images do alone

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=3)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), CLOCK.monotonic_ns()) for n, name in enumerate("abc")))
        assert batcher.timing is not None
        assert not batcher.timing.pays
        assert batcher.timing.budget_ms >= 3 * batcher.timing.batch_ms * 0.9

    CLOCK.run(run())
    assert engine.batches[-1] == [0, 1, 2]


@pytest.mark.parametrize("cameras", [1, 3])
def test_a_budget_that_nobody_set_follows_the_engine(cameras: int) -> None:
    engine = Engine(alone_s=0.2, more_s=0.0)  # a busy moment at the start

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=cameras)
        note, _ = await batcher("a", shot(0), CLOCK.monotonic_ns())
        assert note.budget_ms is not None
        assert note.budget_ms >= 600
        engine.alone_s = 0.04
        for _ in range(8):
            note, _ = await batcher("a", shot(0), CLOCK.monotonic_ns())
        assert note.budget_ms is not None
        assert 0.9 * 3 * 40 <= note.budget_ms < 600

    CLOCK.run(run())


def test_a_budget_that_somebody_set_stays() -> None:
    engine = Engine(alone_s=0.02)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=1, budget_ms=333)
        for engine.alone_s in [0.02] + 10 * [0.06]:
            note, _ = await batcher("a", shot(0), CLOCK.monotonic_ns())
            assert note.budget_ms == 333

    CLOCK.run(run())


def test_a_batch_waits_for_company_where_that_pays_and_the_budget_allows() -> None:
    engine = Engine(alone_s=0.03, more_s=0.0)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=2000)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), CLOCK.monotonic_ns()) for n, name in enumerate("ab")))
        early = asyncio.create_task(batcher("a", shot(2), CLOCK.monotonic_ns()))
        await asyncio.sleep(0.1)
        assert not early.done()
        await asyncio.gather(early, batcher("b", shot(3), CLOCK.monotonic_ns()))

    CLOCK.run(run())
    assert engine.batches[-1] == [2, 3]


def test_a_batch_closes_before_waiting_breaks_the_budget() -> None:
    engine = Engine(alone_s=0.03, more_s=0.0)

    async def run() -> float:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=300)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), CLOCK.monotonic_ns()) for n, name in enumerate("ab")))
        captured_ns = CLOCK.monotonic_ns()
        note, _ = await batcher("a", shot(5), captured_ns)  # b, which sent a moment ago, does not come
        return (note.started_ns - captured_ns) / 1e6

    waited_ms = CLOCK.run(run())
    assert engine.batches[-1] == [5]
    assert waited_ms > 100


def test_a_camera_that_floods_the_queue_does_not_starve_another() -> None:
    engine = Engine(alone_s=0.005, more_s=0.005)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=500)
        await warm(batcher)  # type: ignore[misc]
        flood = [asyncio.create_task(batcher("a", shot(1), CLOCK.monotonic_ns())) for _ in range(20)]
        await asyncio.sleep(0)
        await batcher("b", shot(2), CLOCK.monotonic_ns())
        assert sum(task.done() for task in flood) <= 3
        await asyncio.gather(*flood)

    CLOCK.run(run())


def test_a_frame_that_waited_too_long_is_left_out_but_never_twice_in_a_row() -> None:
    engine = Engine(alone_s=0.0, more_s=0.0)

    async def run() -> list[bool]:
        batcher = LiveBatcher(engine, lambda _: None, cameras=1, budget_ms=250)
        await warm(batcher)  # type: ignore[misc]
        engine.alone_s = 0.3  # something else took the machine
        notes = await asyncio.gather(*(batcher("a", shot(n), CLOCK.monotonic_ns()) for n in range(4)))
        return [note.late for note, _ in notes]

    late = CLOCK.run(run())
    assert late[0] is False
    assert True in late
    assert not any(one and two for one, two in pairwise(late))


def test_an_image_the_engine_fails_on_says_why() -> None:
    async def run() -> None:
        batcher = LiveBatcher(Engine(), lambda _: None, cameras=2)
        await warm(batcher)  # type: ignore[misc]
        (bad, nothing), (good, found) = await asyncio.gather(
            batcher("a", shot(13), CLOCK.monotonic_ns()), batcher("b", shot(1), CLOCK.monotonic_ns())
        )
        assert (bad.failure, nothing) == ("poisoned", None)
        assert good.failure is None
        assert found is not None

    CLOCK.run(run())


def test_a_budget_that_is_too_short_for_two_frames_lets_only_one_in() -> None:
    async def run() -> bool:
        batcher = LiveBatcher(Engine(0.05), lambda _: None, cameras=1, budget_ms=60)
        note, _ = await batcher("a", shot(1), CLOCK.monotonic_ns())
        return note.ahead

    assert CLOCK.run(run()) is False
