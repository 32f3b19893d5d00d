"""How the learning rate runs, and how many steps fit into the time that is given."""

from __future__ import annotations

import math
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
