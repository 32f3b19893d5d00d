"""The rate of images follows the load: when it changes, what each camera gets, and how evenly images come."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from roadmask.engines.errors import ConfigError
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.live.adaptation import (
    LIMIT_MIN_FPS,
    LOWER_S,
    RAISE_S,
    TARGET,
    RateControl,
    SizeControl,
    fair_limit,
)
from roadmask.streaming.live.settings import LiveSettings

STEP_S = 0.5


def follow(
    control: RateControl, seconds: float, image_ms: Callable[[float], float], fps: Sequence[float] = (25.0, 25.0)
) -> list[tuple[float, float | None]]:
    """Feeds a load twice a second; gives each change: when it came, and the limit since."""
    changes = []
    for step in range(round(seconds / STEP_S)):
        now_s = step * STEP_S
        if control.update(now_s, fps, image_ms(now_s)):
            changes.append((now_s, control.limit_fps))
    return changes


@pytest.mark.parametrize(
    ("sent", "capacity", "limit"),
    [
        pytest.param([25, 25], 60, math.inf, id="room for all"),
        pytest.param([25, 25], 50, math.inf, id="just room for all"),
        pytest.param([25, 25], 20, 10, id="equal shares"),
        pytest.param([2, 25, 25], 22, 10, id="who sends less leaves its share to the others"),
        pytest.param([5, 10, 30], 30, 15, id="only the greediest is limited"),
        pytest.param([25], 0.5, 0.5, id="an engine that takes two seconds"),
    ],
)
def test_shares_are_fair(sent: list[float], capacity: float, limit: float) -> None:
    assert fair_limit(sent, capacity) == pytest.approx(limit)


def test_one_slow_image_does_not_leave_the_engine_unasked() -> None:
    control = RateControl()
    control.update(0.0, [25.0] * 4, 30_000.0)
    assert control.update(LOWER_S, [25.0] * 4, 30_000.0)
    assert control.limit_fps == LIMIT_MIN_FPS


def test_what_the_engine_can_take_is_left_alone() -> None:
    assert follow(RateControl(), 60, lambda _: 18.0) == []  # 50 images a second, 18 ms each: 90 %


def sizes(
    control: SizeControl, seconds: float, image_ms: Callable[[float], float], fps: Sequence[float] = (25.0, 25.0)
) -> list[tuple[float, int]]:
    """Feeds what an image of the largest size takes, twice a second; gives each change: when it came, and to what."""
    changes = []
    for step in range(round(seconds / STEP_S)):
        now_s = step * STEP_S
        if control.update(now_s, fps, image_ms(now_s) * COSTS[control.level] / COSTS[0]):
            changes.append((now_s, control.level))
    return changes


COSTS = (100.0, 50.0, 25.0)


def test_the_size_follows_a_step_of_load_and_its_end() -> None:
    changes = sizes(SizeControl(COSTS, 5.0), 90, lambda now_s: 150.0 if 10 <= now_s < 50 else 20.0)
    assert [level for _, level in changes] == [1, 0]  # 96 % of 13 images a second at half the cost, for two cameras
    assert LOWER_S <= changes[0][0] - 10 <= LOWER_S + STEP_S
    assert RAISE_S <= changes[1][0] - 50 <= RAISE_S + STEP_S


def test_a_load_that_is_too_much_at_any_size_leaves_the_smallest() -> None:
    assert [level for _, level in sizes(SizeControl(COSTS, 5.0), 60, lambda _: 5000.0)] == [1, 2]


def test_a_load_that_comes_and_goes_or_lies_at_the_edge_changes_no_size() -> None:
    assert sizes(SizeControl(COSTS, 5.0), 60, lambda now_s: 150.0 if now_s % 2 else 20.0) == []
    edge_ms = TARGET * 1000 / (2 * 5.0)
    control = SizeControl(COSTS, 5.0)
    assert sizes(control, 60, lambda now_s: edge_ms * (1.04 if now_s % 1 else 0.96)) == []
    assert len(sizes(control, 60, lambda _: edge_ms * 1.1)) == 1
    assert sizes(control, 60, lambda now_s: edge_ms * (1.04 if now_s % 1 else 0.96)) == []


def test_slow_cameras_keep_the_large_size() -> None:
    assert sizes(SizeControl(COSTS, 5.0), 60, lambda _: 400.0, fps=(1.0, 1.0)) == []  # all they send can be taken


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"busy_input_sizes": ("256x448", "256x448")}, r"each network input smaller .* got 256x448, 256x448"),
        ({"busy_input_sizes": ("256x450",)}, r"multiples of 32 .* use 256x448"),
        ({"busy_input_sizes": ("256x448",), "adapt": False}, r"leave adapt on"),
        (
            {"busy_input_sizes": ("384x640",), "config": RunConfig(engine=EngineConfig(input_size="256x448"))},
            r"got 256x448, 384x640",
        ),
    ],
)
def test_sizes_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LiveSettings(**settings)


def test_a_step_of_load_lowers_the_rate_once_and_its_end_raises_it_once() -> None:
    control = RateControl()
    changes = follow(control, 90, lambda now_s: 100.0 if 10 <= now_s < 50 else 10.0)
    (lowered_s, limit), (raised_s, none) = changes
    assert limit == pytest.approx(TARGET * 10 / 2)  # ten images a second, for two cameras
    assert none is None
    assert LOWER_S <= lowered_s - 10 <= LOWER_S + STEP_S
    assert RAISE_S <= raised_s - 50 <= RAISE_S + STEP_S
    assert control.changes == 2


@pytest.mark.parametrize("period_s", [1, 3, 8])
def test_a_load_that_comes_and_goes_changes_the_rate_once(period_s: float) -> None:
    changes = follow(RateControl(), 300, lambda now_s: 100.0 if now_s % period_s < period_s / 2 else 60.0)
    assert len(changes) == 1
    limit = changes[0][1]
    assert limit is not None
    assert limit <= TARGET * 1000 / 60 / 2


def test_noise_changes_little() -> None:
    noise = np.random.default_rng(3)
    changes = follow(RateControl(), 3600, lambda _: 100.0 * noise.uniform(0.85, 1.2))
    assert 1 <= len(changes) <= 20
    limits = [limit for _, limit in changes if limit is not None]
    assert limits[-1] == pytest.approx(TARGET * 5, rel=0.25)


def test_a_load_that_eases_raises_the_rate_only_as_far_as_it_eased() -> None:
    changes = follow(RateControl(), 60, lambda now_s: 200.0 if now_s < 20 else 100.0)
    assert [limit for _, limit in changes] == pytest.approx([TARGET * 5 / 2, TARGET * 10 / 2])


def test_a_camera_that_comes_back_takes_its_share_back() -> None:
    control = RateControl()
    follow(control, 10, lambda _: 100.0, (25.0, 25.0))
    alone = RateControl()
    follow(alone, 10, lambda _: 100.0, (25.0, 0.0))
    assert (control.limit_fps, alone.limit_fps) == pytest.approx((TARGET * 5, TARGET * 10))


def test_before_the_engine_has_told_nothing_changes() -> None:
    control = RateControl()
    assert not any(control.update(now_s, [25.0], None) for now_s in range(30))
    assert not any(control.update(now_s, [], 100.0) for now_s in range(30))
