"""When live images were captured: jitter, stalls, bursts and clocks that jump."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.streaming.sources.live.clock import LiveClock

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


def test_a_burst_at_the_beginning_is_no_jump_and_costs_no_age() -> None:
    clock = LiveClock()
    clock.reconnect(0)
    # two seconds of images were buffered while the stream was being looked at; they arrive a millisecond apart
    arrivals = [(2000 + n if n < 50 else 2000 + (n - 50) * 40 + 50) * MS for n in range(100)]
    placed = [clock.place(n * 40 * MS, at, WALL + at) for n, at in enumerate(arrivals)]
    assert not any(each.jumped for each in placed)
    assert arrivals[-1] - placed[-1].monotonic_ns <= 50 * MS  # the buffer is not taken for a delay of the network


@pytest.mark.parametrize(("connected_ms", "jumped"), [(1000, False), (10_000, True)])
def test_a_leap_of_the_stream_is_a_jump_only_once_its_connection_has_lasted(connected_ms: int, jumped: bool) -> None:
    clock = LiveClock()
    clock.reconnect(0)
    for at_ms in range(0, connected_ms, 40):
        clock.place(at_ms * MS, at_ms * MS, WALL + at_ms * MS)
    at = connected_ms * MS
    assert clock.place(at + 2 * S, at, WALL + at).jumped is jumped


@pytest.mark.parametrize(("set_s", "jumped"), [(-1000, True), (0, False), (1000, False)])
def test_times_of_an_epoch_rise_when_another_process_goes_on(set_s: int, jumped: bool) -> None:
    """A decoder that was killed has a successor, which knows when the newest image was captured."""
    before = LiveClock().place(None, 40 * MS, WALL)
    after = LiveClock(before.unix_ns).place(None, 80 * MS, WALL + set_s * S)
    assert after.jumped is jumped  # a new epoch, or a time that is later
    assert after.unix_ns == WALL + set_s * S + (0 if set_s else 1)
