"""Strictly increasing media times, whatever the timestamps of a recording are."""

from __future__ import annotations

JUMP_PERIODS = 3
"""A step back by more frame periods than this is another recording appended to the first, not jitter."""


class Timeline:
    """Places frames on one media clock so that each is later than the one before.

    A missing time is one frame period after its predecessor. A time that repeats or steps back a little is placed half
    a period after its predecessor, so that later frames soon have their true times again. After a large step back, the
    following times continue one period after the predecessor.

    Args:
        period_ns: frame period in nanoseconds.
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.last_ns: int | None = None
        self._offset_ns = 0

    @property
    def end_ns(self) -> int:
        """Expected time of the next frame in nanoseconds."""
        return 0 if self.last_ns is None else self.last_ns + self.period_ns

    def begin(self, start_ns: int, period_ns: int) -> None:
        """Starts the next chapter, whose time 0 is `start_ns` on the media clock."""
        self._offset_ns = start_ns
        self.period_ns = period_ns

    def place(self, media_ns: int | None) -> int:
        """Returns the time of the next frame on the media clock from its time in the chapter, in nanoseconds."""
        time_ns = self.end_ns if media_ns is None else max(media_ns + self._offset_ns, 0)
        if self.last_ns is not None and time_ns <= self.last_ns:
            back_ns = self.last_ns - time_ns
            time_ns = self.last_ns + max(self.period_ns // 2, 1)
            if back_ns > JUMP_PERIODS * self.period_ns:
                time_ns = self.end_ns
                self._offset_ns += back_ns + self.period_ns
        self.last_ns = time_ns
        return time_ns

    def peek(self, media_ns: int | None) -> int | None:
        """Returns a time of the chapter on the media clock in nanoseconds, without placing a frame there."""
        return None if media_ns is None else max(media_ns + self._offset_ns, 0)
