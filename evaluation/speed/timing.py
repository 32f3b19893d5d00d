"""Fair timing on a machine that also does other work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np


def interleaved_ms(
    sides: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Runs several functions in turn, so that other work on the machine slows all of them alike.

    Args:
        sides: each is called once a round.
        rounds: at least 1.
        clock: in seconds.

    Returns:
        For each side the milliseconds of each round.
    """
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for times, run in zip(taken, sides, strict=True):
            start = clock()
            run()
            times.append((clock() - start) * 1e3)
    return taken


def median(values: Sequence[float]) -> float:
    """Returns the median, to write down: rounded to four digits behind the point."""
    return round(float(np.median(values)), 4)
