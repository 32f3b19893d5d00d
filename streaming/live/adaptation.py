"""How often the engine is offered an image of each camera, and how large it looks at it, as the load comes and goes.

Where cameras together send more than the engine can take, it would be asked for whatever is newest whenever it is
free: at irregular times, and with a queue that is always full. Offered a little less than it can take, at a steady
rate, it gives masks that are younger and evenly spaced. Where that rate would be too low, a smaller input of the
network, if one was prepared, gives more images for less detail.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

TARGET = 0.96
"""Part of what the engine can take that it is offered; the rest is room for images that take longer than most."""
LIMIT_MIN_FPS = 1.0
"""No limit is lower: what a camera is asked for is also how often the engine's speed is seen, and one slow image must
not leave it unseen for long. An engine that is slower than this is asked whenever it is free."""
LOWER_BELOW, LOWER_S = 0.95, 2.0
"""The rate is lowered when what the engine can take was below this part of it for so long, ..."""
RAISE_ABOVE, RAISE_S = 1.05, 5.0
"""... and raised when it was above this part of it for so long."""


class RateControl:
    """Decides how many images a second of each camera are offered to the engine, at most.

    All cameras have the same limit; who sends less than that leaves its share to the others. The limit changes only
    when the load has called for it for a while, and rises only as far as the whole of that while allows: a load that
    comes and goes leaves it low.
    """

    def __init__(self) -> None:
        self.changes = 0
        """How often the limit changed."""
        self._limit = math.inf
        self._lower_since: float | None = None
        self._raise_since: float | None = None
        self._raise_to = math.inf

    @property
    def limit_fps(self) -> float | None:
        """Images a second of each camera; None: all there are."""
        return None if math.isinf(self._limit) else self._limit

    def update(self, now_s: float, captured_fps: Iterable[float], image_ms: float | None) -> bool:
        """Takes the load of this moment; call it once or twice a second.

        Args:
            now_s: of a clock that never goes back.
            captured_fps: what each camera sends.
            image_ms: what the engine takes for an image these days; None while nobody knows.

        Returns:
            Whether the limit changed.
        """
        sent = [fps for fps in captured_fps if fps > 0]
        if not sent or not image_ms:
            return False
        possible, most = max(fair_limit(sent, TARGET * 1000 / image_ms), LIMIT_MIN_FPS), max(sent)
        too_high = possible < LOWER_BELOW * min(self._limit, most)
        too_low = possible > RAISE_ABOVE * self._limit
        self._lower_since = _since(self._lower_since, now_s, too_high)
        self._raise_since = _since(self._raise_since, now_s, too_low)
        self._raise_to = min(self._raise_to, possible) if too_low else math.inf
        if self._lower_since is not None and now_s - self._lower_since >= LOWER_S:
            return self._change(possible)
        if self._raise_since is not None and now_s - self._raise_since >= RAISE_S:
            return self._change(self._raise_to)
        return False

    def _change(self, limit: float) -> bool:
        self._limit, self._raise_to = limit, math.inf
        self._lower_since = self._raise_since = None
        self.changes += 1
        return True


class SizeControl:
    """Decides at which of several input sizes the network works.

    At the largest at which every camera gets so many images a second, or all that it sends; at the smallest where
    that is too much even for that. It changes only when the load has called for it for a while.

    Args:
        costs_ms: what an image takes at each size, from the largest to the smallest; only their ratios count.
        fps_min: images a second that a camera should get.
    """

    def __init__(self, costs_ms: Sequence[float], fps_min: float) -> None:
        self.level = 0
        """Number of the size, 0 for the largest."""
        self.changes = 0
        """How often it changed."""
        self._costs_ms = costs_ms
        self._fps_min = fps_min
        self._lower_since: float | None = None
        self._raise_since: float | None = None

    def update(self, now_s: float, captured_fps: Iterable[float], image_ms: float | None) -> bool:
        """Takes the load of this moment; call it once or twice a second.

        Args:
            now_s: of a clock that never goes back.
            captured_fps: what each camera sends.
            image_ms: what the engine takes for an image of the present size these days; None while nobody knows.

        Returns:
            Whether the size changed.
        """
        sent = [fps for fps in captured_fps if fps > 0]
        if not sent or not image_ms:
            return False
        last = len(self._costs_ms) - 1
        too_slow = self.level < last and self._rate(self.level, sent, image_ms) < LOWER_BELOW * self._fps_min
        room = self.level > 0 and self._rate(self.level - 1, sent, image_ms) > RAISE_ABOVE * self._fps_min
        self._lower_since = _since(self._lower_since, now_s, too_slow)
        self._raise_since = _since(self._raise_since, now_s, room)
        if self._lower_since is not None and now_s - self._lower_since >= LOWER_S:
            return self._change(self.level + 1)
        if self._raise_since is not None and now_s - self._raise_since >= RAISE_S:
            return self._change(self.level - 1)
        return False

    def _rate(self, level: int, sent: Collection[float], image_ms: float) -> float:
        """Returns the images a second that the busiest camera would get at a size; infinity for all that it sends."""
        return fair_limit(sent, TARGET * 1000 / (image_ms * self._costs_ms[level] / self._costs_ms[self.level]))

    def _change(self, level: int) -> bool:
        self.level = level
        self.changes += 1
        self._lower_since = self._raise_since = None
        return True


def fair_limit(sent: Iterable[float], capacity: float) -> float:
    """Returns the limit under which cameras together send just what can be taken; infinity where all of it can be.

    Max-min fair: nobody gets less than the limit so that somebody else gets more.

    Args:
        sent: images a second of each camera.
        capacity: images a second that can be taken.
    """
    rates = sorted(sent)
    for number, rate in enumerate(rates):
        share = capacity / (len(rates) - number)
        if rate > share:
            return share
        capacity -= rate
    return math.inf


def _since(since: float | None, now_s: float, holds: bool) -> float | None:
    """Returns since when something has held."""
    return None if not holds else now_s if since is None else since
