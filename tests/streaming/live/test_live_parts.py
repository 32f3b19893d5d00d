"""The parts of a live run by themselves: clock, counts, batches, accounts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines import Instances
from roadmask.engines.segmenter import Image
from roadmask.streaming.live.accounts import STORE, Account
from roadmask.streaming.live.batching import LiveBatcher
from roadmask.streaming.live.clock import LiveClock
from roadmask.streaming.live.counts import Counts, CountsFile
from roadmask.streaming.live.reader import FrameNote
from roadmask.streaming.segmentation import FailedSegmentation, Segmentation

MS, S = 1_000_000, 1_000_000_000
WALL = 1_700_000_000 * S


def test_the_networks_jitter_is_taken_out() -> None:
    clock = LiveClock()
    late_ms = [0, 30, 5, 60, 0, 40, 10, 0]
    arrivals = [(n * 40 + late) * MS for n, late in enumerate(late_ms)]
    placed = [clock.place(n * 40 * MS, at, WALL + at) for n, at in enumerate(arrivals)]
    steps = np.diff([each.unix_ns for each in placed]) / MS
    assert np.abs(steps - 40).max() < 3
    assert all(each.monotonic_ns <= at for each, at in zip(placed, arrivals, strict=True))
    assert not any(each.jumped for each in placed)


def test_a_stream_that_runs_slow_is_followed() -> None:
    clock = LiveClock()
    for n in range(2000):  # one part in a thousand slower: a second off in a quarter of an hour
        at = n * 40 * MS
        placed = clock.place(round(at * 0.999), at, WALL + at)
    assert at - placed.monotonic_ns < 10 * MS


def test_a_stall_shifts_no_time() -> None:
    clock = LiveClock()
    # nothing for 0.9 s, then all that was held up at once
    arrivals = [max(n * 40, 2000 if 28 <= n < 50 else 0) * MS for n in range(100)]
    placed = [clock.place(n * 40 * MS, at, WALL + at) for n, at in enumerate(arrivals)]
    assert [each.monotonic_ns for each in placed] == [n * 40 * MS for n in range(100)]


@pytest.mark.parametrize("caught_up", [False, True], ids=["held up", "left out"])
def test_being_late_by_seconds_is_no_jump(caught_up: bool) -> None:
    """A line that stalls for two seconds and then delivers what it held up, or goes on with the present."""
    clock, ages_ms = LiveClock(), []
    for n in range(200):
        if caught_up and 51 <= n < 100:
            continue
        at = max(n * 40, 4000 if 50 <= n < 100 else 0) * MS
        placed = clock.place(n * 40 * MS, at, WALL + at)
        assert not placed.jumped
        ages_ms.append((at - placed.monotonic_ns) / MS)
    assert max(ages_ms) == 2000  # the image that was held up first
    assert ages_ms[-1] == 0


def test_a_clock_of_this_machine_that_is_put_right_by_less_than_a_jump_is_followed() -> None:
    clock = LiveClock()
    clock.place(None, 0, WALL)
    placed = clock.place(None, 40 * MS, WALL + 840 * MS)
    assert (placed.unix_ns, placed.jumped) == (WALL + 840 * MS, False)


@pytest.mark.parametrize("jump_s", [-1000, 1000])
def test_a_stream_that_jumps_begins_an_epoch(jump_s: int) -> None:
    clock = LiveClock()
    before = [clock.place(n * 40 * MS, n * 40 * MS, WALL + n * 40 * MS) for n in range(5)]
    after = clock.place(5 * 40 * MS + jump_s * S, 5 * 40 * MS, WALL + 5 * 40 * MS)
    assert after.jumped
    assert after.unix_ns - before[-1].unix_ns == 40 * MS  # ours did not


@pytest.mark.parametrize("jump_s", [-1000, 1000])
def test_a_machine_whose_clock_is_set_begins_an_epoch(jump_s: int) -> None:
    clock = LiveClock()
    clock.place(None, 0, WALL)
    placed = clock.place(None, 40 * MS, WALL + 40 * MS + jump_s * S)
    assert placed.jumped
    assert placed.unix_ns == WALL + 40 * MS + jump_s * S
    assert placed.monotonic_ns == 40 * MS


def test_times_always_rise() -> None:
    clock = LiveClock()
    stamps = [clock.place(stream, at, WALL + at).unix_ns for stream, at in [(0, 100), (0, 100), (5, 90), (None, 80)]]
    assert all(np.diff(stamps) > 0)


def test_a_burst_at_the_beginning_is_no_jump() -> None:
    clock = LiveClock()
    clock.reconnect(0)
    # the first frames were buffered for two seconds while the stream was being looked at
    placed = [clock.place(n * 40 * MS, 2000 * MS + max(n - 50, 0) * 40 * MS, WALL) for n in range(80)]
    assert not any(each.jumped for each in placed[:1])


def test_counts_outlive_who_made_them(tmp_path: Path) -> None:
    writer = CountsFile(tmp_path / "counts", create=True)
    writer.write(Counts(captured=7, stale=2, handed=4, held=1, height=540, width=960))
    writer.close()
    counts = CountsFile(tmp_path / "counts").read()
    assert (counts.captured, counts.settled, counts.held, counts.size) == (7, 6, 1, (540, 960))


def test_every_frame_is_in_one_column() -> None:
    account = Account()
    account.receive(FrameNote(0, 1, 0))
    account.receive(FrameNote(3, 2, 0))
    account.receive(FrameNote(9, 5, 0))  # numbers 3 and 4 died on the way
    counts = Counts(captured=12, stale=4, before_keyframe=1, undecodable=1, handed=5, held=1)
    assert account.missing(counts) == 0
    assert account.in_flight(counts) == 4
    account.store([0])
    account.fail(3, "engine")
    account.drop(9, "late")
    assert account.missing(counts) == 0
    losses = account.losses(counts)
    assert losses.dropped == {"stale": 4, "before_keyframe": 1, "late": 1}
    assert losses.failed == {"decode": 1, "engine": 1, "reader_died": 2}
    account.finish(counts)
    assert (account.in_flight(counts), account.missing(counts)) == (0, 0)
    assert account.losses(counts).dropped["stopped"] == 1


def test_what_a_dead_recorder_had_not_committed_is_lost() -> None:
    account = Account()
    for index in range(10):
        account.receive(FrameNote(index, index + 1, 0))
    account.store(range(6))
    account.go_on(committed=4, indices=[6, 7])  # and 6 and 7 were pushed, their fate unknown
    counts = Counts(captured=10, handed=10)
    assert (account.stored, account.losses(counts).failed) == (4, {"writer_died": 4})
    assert account.pending == [8, 9]
    assert account.missing(counts) == 0


def test_a_store_that_fails_for_good_keeps_what_it_had_committed_but_not_told() -> None:
    account = Account()
    for index in range(10):
        account.receive(FrameNote(index, index + 1, 0))
    account.store(range(3))
    account.go_on(committed=6, indices=range(3, 10), reason=STORE)
    counts = Counts(captured=10, handed=10)
    assert (account.stored, account.losses(counts).failed) == (6, {"store": 4})
    assert account.missing(counts) == account.in_flight(counts) == 0


SIZE = (4, 4)


class Engine:
    """Takes `alone_s` for an image and `more_s` for each further one of a batch."""

    def __init__(self, alone_s: float = 0.02, more_s: float = 0.02) -> None:
        self.alone_s, self.more_s = alone_s, more_s
        self.batches: list[list[int]] = []

    def __call__(self, images: Sequence[Image]) -> list[Segmentation]:
        time.sleep(self.alone_s + self.more_s * (len(images) - 1))
        self.batches.append([int(image[0, 0, 0]) for image in images])
        return [FailedSegmentation("poisoned") if image[0, 0, 0] == 13 else Instances.empty(SIZE) for image in images]


def shot(value: int) -> Image:
    return np.full((*SIZE, 3), value, np.uint8)


def warm(batcher: LiveBatcher) -> object:
    return batcher("warm", shot(0), time.monotonic_ns())


def test_frames_that_come_together_share_a_batch() -> None:
    engine = Engine(alone_s=0.01, more_s=0.03)  # a batch takes more than twice as long as its images do alone

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=3)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), time.monotonic_ns()) for n, name in enumerate("abc")))
        assert batcher.timing is not None
        assert not batcher.timing.pays
        assert batcher.timing.budget_ms >= 3 * batcher.timing.batch_ms * 0.9

    asyncio.run(run())
    assert engine.batches[-1] == [0, 1, 2]


@pytest.mark.parametrize("cameras", [1, 3])
def test_a_budget_that_nobody_set_follows_the_engine(cameras: int) -> None:
    engine = Engine(alone_s=0.2, more_s=0.0)  # a busy moment at the start

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=cameras)
        note, _ = await batcher("a", shot(0), time.monotonic_ns())
        assert note.budget_ms is not None
        assert note.budget_ms >= 600
        engine.alone_s = 0.04
        for _ in range(8):
            note, _ = await batcher("a", shot(0), time.monotonic_ns())
        assert note.budget_ms is not None
        assert 0.9 * 3 * 40 <= note.budget_ms < 600

    asyncio.run(run())


def test_a_budget_that_somebody_set_stays() -> None:
    engine = Engine(alone_s=0.02)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=1, budget_ms=333)
        for engine.alone_s in [0.02] + 10 * [0.06]:
            note, _ = await batcher("a", shot(0), time.monotonic_ns())
            assert note.budget_ms == 333

    asyncio.run(run())


def test_a_batch_waits_for_company_where_that_pays_and_the_budget_allows() -> None:
    engine = Engine(alone_s=0.03, more_s=0.0)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=2000)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), time.monotonic_ns()) for n, name in enumerate("ab")))
        early = asyncio.create_task(batcher("a", shot(2), time.monotonic_ns()))
        await asyncio.sleep(0.1)
        assert not early.done()
        await asyncio.gather(early, batcher("b", shot(3), time.monotonic_ns()))

    asyncio.run(run())
    assert engine.batches[-1] == [2, 3]


def test_a_batch_closes_before_waiting_breaks_the_budget() -> None:
    engine = Engine(alone_s=0.03, more_s=0.0)

    async def run() -> float:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=300)
        await warm(batcher)  # type: ignore[misc]
        await asyncio.gather(*(batcher(name, shot(n), time.monotonic_ns()) for n, name in enumerate("ab")))
        taken_ns = time.monotonic_ns()
        note, _ = await batcher("a", shot(5), taken_ns)  # b, which sent a moment ago, does not come
        return (note.begun_ns - taken_ns) / 1e6

    waited_ms = asyncio.run(run())
    assert engine.batches[-1] == [5]
    assert waited_ms > 100


def test_a_camera_that_floods_the_queue_does_not_starve_another() -> None:
    engine = Engine(alone_s=0.005, more_s=0.005)

    async def run() -> None:
        batcher = LiveBatcher(engine, lambda _: None, cameras=2, budget_ms=500)
        await warm(batcher)  # type: ignore[misc]
        flood = [asyncio.create_task(batcher("a", shot(1), time.monotonic_ns())) for _ in range(20)]
        await asyncio.sleep(0)
        await batcher("b", shot(2), time.monotonic_ns())
        assert sum(task.done() for task in flood) <= 3
        await asyncio.gather(*flood)

    asyncio.run(run())


def test_a_frame_that_waited_too_long_is_left_out_but_never_twice_in_a_row() -> None:
    engine = Engine(alone_s=0.0, more_s=0.0)

    async def run() -> list[bool]:
        batcher = LiveBatcher(engine, lambda _: None, cameras=1, budget_ms=250)
        await warm(batcher)  # type: ignore[misc]
        engine.alone_s = 0.3  # something else took the machine
        notes = await asyncio.gather(*(batcher("a", shot(n), time.monotonic_ns()) for n in range(4)))
        return [note.late for note, _ in notes]

    late = asyncio.run(run())
    assert late[0] is False
    assert True in late
    assert not any(one and two for one, two in pairwise(late))


def test_an_image_the_engine_fails_on_says_why() -> None:
    async def run() -> None:
        batcher = LiveBatcher(Engine(), lambda _: None, cameras=2)
        await warm(batcher)  # type: ignore[misc]
        (bad, nothing), (good, found) = await asyncio.gather(
            batcher("a", shot(13), time.monotonic_ns()), batcher("b", shot(1), time.monotonic_ns())
        )
        assert (bad.failure, nothing) == ("poisoned", None)
        assert good.failure is None
        assert found is not None

    asyncio.run(run())


def test_a_budget_that_is_too_short_for_two_frames_lets_only_one_in() -> None:
    async def run() -> bool:
        batcher = LiveBatcher(Engine(0.05), lambda _: None, cameras=1, budget_ms=60)
        note, _ = await batcher("a", shot(1), time.monotonic_ns())
        return note.ahead

    assert asyncio.run(run()) is False
