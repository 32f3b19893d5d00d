"""How the learning rate runs, and how many steps fit into the time that is given."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A linear warm-up, then a cosine to zero (Loshchilov and Hutter, SGDR, 2017)."""

    steps: int
    """Steps in all."""
    rate: float
    """Highest learning rate."""
    warm_up: int
    """Steps over which the rate rises to it."""

    @classmethod
    def of(cls, steps: int, rate: float, warm_up_share: float = 0.05) -> Schedule:
        """Returns the schedule of a run, its warm-up at most 500 steps."""
        return cls(steps, rate, max(min(round(steps * warm_up_share), 500), 1))

    def rate_at(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def ema_decay(step: int, half_life_share: float, steps: int) -> float:
    """Returns the decay of the averaged weights at a step.

    Early weights are forgotten fast: the decay rises as (1 + step) / (10 + step) to its end.

    Args:
        step: counted from 0.
        half_life_share: share of the run after which half of a weight is forgotten.
        steps: of the run.
    """
    end: float = 0.5 ** (1 / max(half_life_share * steps, 1))
    return min(end, (1 + step) / (10 + step))


class Budget:
    """Turns the minutes that a run may take into a number of steps, once its first steps have been timed.

    Args:
        minutes: of the whole run, those of the runs that it resumes included; None for no limit.
        spent_s: seconds that those took.
        validates: whether validations take a part of the time.
    """

    SKIPPED, MEASURED = 4, 12
    """Steps before the clock starts, since the first ones warm up, and steps after which it is read."""

    def __init__(self, minutes: float | None, spent_s: float, *, validates: bool) -> None:
        self._minutes, self._spent_s, self._share = minutes, spent_s, 0.85 if validates else 0.97
        self._start = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._begun_at: int | None = None

    @property
    def spent_s(self) -> float:
        """Seconds that the run took so far."""
        return self._spent_s + time.monotonic() - self._start

    def steps(self, step: int) -> int | None:
        """Returns the number of steps of the whole run, or None while it is not known yet.

        Args:
            step: steps done.
        """
        if self._minutes is None:
            return None
        if self._begun_at is None:
            self._begun_at = step
        if self._first is None:
            if step - self._begun_at >= self.SKIPPED:
                self._first = step, time.monotonic()
            return None
        if step - self._begun_at < self.MEASURED:
            return None
        since, start = self._first
        each = (time.monotonic() - start) / (step - since)
        left = self._minutes * 60 - self.spent_s
        return step + max(int(left * self._share / each), 1)
