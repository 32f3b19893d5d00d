"""Media time that always moves forward, whatever a recording's own timestamps do."""

from __future__ import annotations

JUMP_PERIODS = 3
"""A step back by more frame periods than this is another recording glued on, not jitter."""


class Timeline:
    """Places frames on one media clock so that each lies later than the one before.

    Times that are missing follow their predecessor by one frame period. A time that repeats or goes back a little is
    put half a period after its predecessor, so that the true times are met again soon. A time that goes back far
    begins a new stretch, which goes on one period after the old one.
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.last_ns: int | None = None
        self._offset_ns = 0

    @property
    def end_ns(self) -> int:
        """When the frame after the last one is due."""
        return 0 if self.last_ns is None else self.last_ns + self.period_ns

    def begin(self, start_ns: int, period_ns: int) -> None:
        """Starts the next chapter: its time 0 is `start_ns` on the common clock."""
        self._offset_ns = start_ns
        self.period_ns = period_ns

    def place(self, media_ns: int | None) -> int:
        """Returns the time of the next frame on the common clock, given the chapter's own time for it."""
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
        """Returns where the chapter's own time lies on the common clock, without placing a frame there."""
        return None if media_ns is None else max(media_ns + self._offset_ns, 0)
