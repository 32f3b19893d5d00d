"""Images are picked evenly, at the rate that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.streaming.sources.live.pacing import Backlog, Spacing


@pytest.mark.parametrize("limit", [0.5, 7.0, 12.5, 20.0, 24.0])
def test_images_are_picked_at_the_rate_and_evenly(limit: float) -> None:
    spacing = Spacing()
    spacing.limit(limit)
    noise = np.random.default_rng(0)
    times = [round(n * 40e6 + noise.uniform(0, 4e6)) for n in range(1500)]  # 25 a second, with jitter
    picked = np.array([captured_ns for captured_ns in times if spacing.takes(captured_ns)]) / 1e9
    assert len(picked) == pytest.approx(60 * limit, abs=2)
    gaps = np.diff(picked)
    assert gaps.max() - gaps.min() < 0.051  # never more than one image of the camera apart


def test_another_limit_counts_at_once_and_a_gap_is_not_made_up_for() -> None:
    spacing = Spacing()
    spacing.limit(0.1)
    assert [spacing.takes(now_s * 10**9) for now_s in (100, 101, 105)] == [True, False, False]
    spacing.limit(1)
    assert [spacing.takes(round(now_s * 1e9)) for now_s in (105.1, 105.2, 106.2)] == [True, False, True]
    # half a minute of nothing: no burst after it
    assert [spacing.takes(round(now_s * 1e9)) for now_s in (140.0, 140.1, 140.2, 141.1)] == [True, False, False, True]
    spacing.limit(None)
    assert all(spacing.takes(142 * 10**9 + n) for n in range(5))


def put(backlog: Backlog[int], images: range, burst: int = 1, fps: int = 25) -> int:
    """Puts images of a camera, each with its number; returns how many others were left out."""
    return sum(backlog.put(number, number * 10**9 // fps, burst) for number in images)


def taken(backlog: Backlog[int]) -> list[int]:
    return [backlog.take() or 0 for _ in range(len(backlog))]


def test_whoever_is_slow_gets_the_newest_image() -> None:
    backlog: Backlog[int] = Backlog()
    assert put(backlog, range(10)) == 9
    backlog.ask()
    assert backlog.take() == 9


def test_a_burst_of_b_frames_waits_whole() -> None:
    backlog: Backlog[int] = Backlog()
    assert put(backlog, range(4), burst=4, fps=2) == 0
    assert put(backlog, range(4, 6), burst=4, fps=2) == 2
    assert taken(backlog) == [2, 3, 4, 5]


def test_whoever_keeps_up_gets_all_images_after_a_busy_moment() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.ask()  # nothing is there: it waits
    assert put(backlog, range(10)) == 0
    assert taken(backlog) == list(range(10))


def test_after_a_longer_moment_the_oldest_are_left_out_and_after_a_long_one_all_but_the_newest() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.ask()
    assert put(backlog, range(20)) == 7  # half a second waits
    assert taken(backlog) == list(range(7, 20))
    assert put(backlog, range(20, 60)) == 39
    assert taken(backlog) == [59]
    put(backlog, range(60, 62))
    backlog.ask()  # one waits: it does not keep up yet
    assert taken(backlog) == [61]
    backlog.ask()
    assert put(backlog, range(62, 70)) == 0


def test_images_that_come_seldom_wait_no_longer() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.ask()
    assert put(backlog, range(5), fps=1) == 4
    assert taken(backlog) == [4]
