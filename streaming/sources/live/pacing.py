"""Which images of a camera are picked, which of them wait, and when those of a replayed file are due."""

from __future__ import annotations

import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

_FRAME_NS = 40_000_000
"""Time between two images of a file that states no times."""
_BUSY_NS, _BUSY_IMAGES = 500_000_000, 16
"""How long, and how many, images wait for somebody who keeps up but is busy for a moment."""


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


class Backlog(Generic[T]):
    """Images that wait to be requested, in the order in which they are shown.

    Whoever is slow gets the newest image. A camera with B-frames sends its images in bursts, so as many of them wait as
    come at once. Whoever keeps up, and so had to wait for an image, gets nearly all of them after a moment in which
    the machine was busy.
    """

    def __init__(self) -> None:
        self._images: deque[tuple[T, int]] = deque()
        self._patience = 0
        """How many images may still be left out until whoever requests them is taken to be slow."""

    def __len__(self) -> int:
        return len(self._images)

    def ask(self) -> None:
        """Notes that an image is requested."""
        if not self._images:
            self._patience = _BUSY_IMAGES

    def put(self, image: T, captured_ns: int, burst: int) -> int:
        """Adds an image.

        Args:
            image: the newest one.
            captured_ns: its capture time on the monotonic clock.
            burst: how many images may come at once.

        Returns:
            How many older images were left out for it.
        """
        self._images.append((image, captured_ns))
        left_out = 0
        while len(self._images) > burst and (self._patience <= 0 or self._is_late(captured_ns, burst)):
            self._images.popleft()
            self._patience -= 1
            left_out += 1
        return left_out

    def take(self) -> T | None:
        """Returns the oldest image, which then waits no more; None if there is none."""
        return self._images.popleft()[0] if self._images else None

    def _is_late(self, now_ns: int, burst: int) -> bool:
        return now_ns - self._images[0][1] > _BUSY_NS or len(self._images) > burst + _BUSY_IMAGES


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
