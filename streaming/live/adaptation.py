"""Adapts the rate of images and the network input size to the load.

If the cameras together send more than the engine can take, it would get the newest image whenever it is free: at
irregular times, and with a queue that is always full. If it is offered a little less than it can take, at a steady
rate, its masks are younger and evenly spaced. If that rate would be too low, a smaller network input, where one was
prepared, gives more images with less detail.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

TARGET = 0.96
"""Share of its capacity that the engine is offered; the rest is room for images that take longer than most."""
LIMIT_MIN_FPS = 1.0
"""Lowest limit, images per second: the engine's speed is only seen when it gets images, and one slow image must not
hide it for long. An engine that is slower than this gets an image whenever it is free."""
LOWER_BELOW, LOWER_S = 0.95, 2.0
"""The rate is lowered when the capacity was below this share of it for this time in seconds, ..."""
RAISE_ABOVE, RAISE_S = 1.05, 5.0
"""... and raised when the capacity was above this share of it for this time in seconds."""


class RateControl:
    """Decides the maximum number of images per second of each camera that the engine is offered.

    All cameras have the same limit; a camera that sends less leaves its share to the others. The limit changes only
    when the load has asked for it for a while, and rises only as far as all of that time allows: a load that comes and
    goes leaves it low.
    """

    def __init__(self) -> None:
        self.changes = 0
        """Number of changes of the limit."""
        self._limit = math.inf
        self._lower_since: float | None = None
        self._raise_since: float | None = None
        self._raise_to = math.inf

    @property
    def limit_fps(self) -> float | None:
        """Maximum number of images per second of each camera; None means no limit."""
        return None if math.isinf(self._limit) else self._limit

    def update(self, now_s: float, captured_fps: Iterable[float], image_ms: float | None) -> bool:
        """Takes the present load; call it once or twice a second.

        Args:
            now_s: seconds of a clock that never goes back.
            captured_fps: images per second that each camera sends.
            image_ms: recent time per image at the engine, milliseconds; None while it is unknown.

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

    It is the largest at which every camera gets `fps_min`, or all that it sends; the smallest if none is fast enough.
    It changes only when the load has asked for it for a while.

    Args:
        costs_ms: time per image at each size, from the largest to the smallest; only their ratios count.
        fps_min: images per second that each camera should get.
    """

    def __init__(self, costs_ms: Sequence[float], fps_min: float) -> None:
        self.level = 0
        """Place of the present size among all sizes; 0 is the largest."""
        self.changes = 0
        """Number of changes of the size."""
        self._costs_ms = costs_ms
        self._fps_min = fps_min
        self._lower_since: float | None = None
        self._raise_since: float | None = None

    def update(self, now_s: float, captured_fps: Iterable[float], image_ms: float | None) -> bool:
        """Takes the present load; call it once or twice a second.

        Args:
            now_s: seconds of a clock that never goes back.
            captured_fps: images per second that each camera sends.
            image_ms: recent time per image at the present size, milliseconds; None while it is unknown.

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
        """Returns the images per second that the busiest camera would get at a size; infinity for all it sends."""
        return fair_limit(sent, TARGET * 1000 / (image_ms * self._costs_ms[level] / self._costs_ms[self.level]))

    def _change(self, level: int) -> bool:
        self.level = level
        self.changes += 1
        self._lower_since = self._raise_since = None
        return True


def fair_limit(sent: Iterable[float], capacity: float) -> float:
    """Returns the limit under which the cameras together send what can be taken; infinity if all of it can be.

    The limit is max-min fair: no camera gets less than it so that another gets more.

    Args:
        sent: images per second of each camera.
        capacity: images per second that can be taken in all.
    """
    rates = sorted(sent)
    for number, rate in enumerate(rates):
        share = capacity / (len(rates) - number)
        if rate > share:
            return share
        capacity -= rate
    return math.inf


def _since(since: float | None, now_s: float, holds: bool) -> float | None:
    """Returns the time since which a condition has held; None if it does not hold."""
    return None if not holds else now_s if since is None else since
