"""Picks images of a camera at a steady rate."""

from __future__ import annotations


class Spacing:
    """Takes as many images a second as it may, as evenly as the camera's own rate allows."""

    def __init__(self) -> None:
        self._interval_ns = 0
        self._next_ns = 0

    def limit(self, fps: float | None) -> None:
        """Sets how many images a second are taken at most; all if None."""
        self._interval_ns = round(1e9 / fps) if fps else 0

    def takes(self, taken_ns: int) -> bool:
        """Whether the next image is one to take; it counts as taken.

        Args:
            taken_ns: when it was taken, on the monotonic clock.
        """
        if self._interval_ns == 0:
            return True
        early_ns = self._next_ns - taken_ns
        if 0 < early_ns <= self._interval_ns:
            return False
        # What is due goes on from where it was due, which keeps the rate; after a gap, or a new limit, it begins anew.
        elsewhere = not -2 * self._interval_ns <= early_ns <= 0
        self._next_ns = (taken_ns if elsewhere else self._next_ns) + self._interval_ns
        return True
