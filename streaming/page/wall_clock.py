"""Times of capture, told by a wall clock that anybody may set, on the page's own clock, which never jumps."""

from __future__ import annotations

from collections.abc import Callable

_SET_MS = 500.0
"""A wall clock that moves by more against the steady one between two looks was set."""
_REMEMBERED_MS = 60_000.0
"""An image may be under way this long while the clock is set."""


class WallClock:
    """Knows by how much the wall clock is ahead of the steady one, and for a while what that was before it was set.

    Args:
        wall_ns: nanoseconds since 1970.
    """

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._ahead_ms: float | None = None
        self._before: list[tuple[float, float]] = []
        """How far it was ahead before it was set, and when that was noticed."""

    def steady_ms(self, captured_ns: int, now_ms: float) -> float:
        """Returns when an image was captured, by the steady clock.

        An image that was under way while the wall clock was set has its time from the clock as it was: of the two
        readings the one nearer to now is right, as images are at most seconds old.

        Args:
            captured_ns: by the wall clock.
            now_ms: by the steady clock.
        """
        ahead_ms = self._wall_ns() / 1e6 - now_ms
        if self._ahead_ms is not None and abs(ahead_ms - self._ahead_ms) > _SET_MS:
            self._before.append((self._ahead_ms, now_ms))
        self._ahead_ms = ahead_ms
        self._before = [(ahead, noticed) for ahead, noticed in self._before if now_ms - noticed < _REMEMBERED_MS]
        readings = [captured_ns / 1e6 - ahead for ahead in (ahead_ms, *(ahead for ahead, _ in self._before))]
        return min(readings, key=lambda captured_ms: abs(now_ms - captured_ms))
