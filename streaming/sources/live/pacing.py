"""Which images of a camera are picked, and when those of a replayed file are due."""

from __future__ import annotations

import time

_FRAME_NS = 40_000_000
"""Time between two images of a file that states no times."""


class Spacing:
    """Picks images at up to a given rate, as evenly as the camera's own rate allows."""

    def __init__(self) -> None:
        self._interval_ns = 0
        self._next_ns = 0

    def limit(self, fps: float | None) -> None:
        """Sets the maximum number of images per second; None means no limit."""
        self._interval_ns = round(1e9 / fps) if fps else 0

    def takes(self, captured_ns: int) -> bool:
        """Returns whether to pick the next image, and counts it as picked.

        Args:
            captured_ns: its capture time on the monotonic clock.
        """
        if self._interval_ns == 0:
            return True
        early_ns = self._next_ns - captured_ns
        if 0 < early_ns <= self._interval_ns:
            return False
        # The next image is due one interval after this one was due, which keeps the rate; after a gap, or under a new
        # limit, one interval after this one.
        elsewhere = not -2 * self._interval_ns <= early_ns <= 0
        self._next_ns = (captured_ns if elsewhere else self._next_ns) + self._interval_ns
        return True


class ReplayPace:
    """Says when each image of a file is due if the file is replayed at its own pace."""

    def __init__(self) -> None:
        self._start_ns: int | None = None
        self.last_ns = 0
        """When the newest image was due, on the monotonic clock."""

    def due_ns(self, stream_ns: int | None) -> int:
        """Returns when an image is due, on the monotonic clock.

        Args:
            stream_ns: the time that the file states; None where it states none.
        """
        now_ns = time.monotonic_ns()
        if self._start_ns is None:
            self._start_ns = now_ns - (stream_ns or 0)
        due_ns = self.last_ns + _FRAME_NS if stream_ns is None else self._start_ns + stream_ns
        self.last_ns = max(due_ns, self.last_ns + 1)
        return self.last_ns
