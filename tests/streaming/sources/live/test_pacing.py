"""Images are picked evenly, at the rate that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.streaming.sources.live.pacing import Spacing


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
