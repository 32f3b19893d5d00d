"""Times of capture while somebody sets the clock."""

from __future__ import annotations

import pytest

from roadmask.streaming.page.wall_clock import WallClock

HOUR_MS = 3_600_000.0


class Clocks:
    """A wall clock that is set by hand beside a steady one."""

    def __init__(self) -> None:
        self.now_ms, self.ahead_ms = 1000.0, 1.7e12
        self.wall_clock = WallClock(lambda: round((self.now_ms + self.ahead_ms) * 1e6))

    def captured_ns(self, age_ms: float) -> int:
        return round((self.now_ms + self.ahead_ms - age_ms) * 1e6)

    def age_ms(self, captured_ns: int) -> float:
        return self.now_ms - self.wall_clock.steady_ms(captured_ns, self.now_ms)


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS, 5000.0, -5000.0])
def test_an_image_that_was_under_way_while_the_clock_was_set_is_as_old_as_it_is(jump_ms: float) -> None:
    clocks = Clocks()
    assert clocks.age_ms(clocks.captured_ns(300)) == pytest.approx(300, abs=0.01)
    under_way = clocks.captured_ns(300)
    clocks.now_ms += 100
    clocks.ahead_ms += jump_ms
    assert clocks.age_ms(under_way) == pytest.approx(400, abs=0.01)
    assert clocks.age_ms(clocks.captured_ns(250)) == pytest.approx(250, abs=0.01)
    clocks.now_ms += 1000
    assert clocks.age_ms(under_way) == pytest.approx(1400, abs=0.01)


def test_a_clock_that_is_set_back_and_forth_is_followed() -> None:
    clocks = Clocks()
    clocks.age_ms(clocks.captured_ns(300))
    for jump_ms in (HOUR_MS, -2 * HOUR_MS, HOUR_MS):
        under_way = clocks.captured_ns(200)
        clocks.now_ms += 50
        clocks.ahead_ms += jump_ms
        assert clocks.age_ms(under_way) == pytest.approx(250, abs=0.01)


def test_an_earlier_clock_is_forgotten() -> None:
    clocks = Clocks()
    clocks.age_ms(clocks.captured_ns(300))
    old = clocks.captured_ns(300)
    clocks.ahead_ms += HOUR_MS
    clocks.age_ms(clocks.captured_ns(300))
    clocks.now_ms += 61_000
    assert clocks.age_ms(old) > HOUR_MS  # a time of an hour ago is what it says
