"""When a live image was taken, on a clock that never goes back within an epoch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

JUMP_NS = 1_000_000_000
"""A clock that is off by more than this has jumped; less is jitter or drift, and is followed."""
_SETTLE_NS = 3_000_000_000
"""A new connection begins with a burst of what was buffered; its clock is believed only after this."""
_FASTEST_NS = 5_000_000_000
"""The fastest image of so long tells how the clocks lie: a stream that runs slower than we do, or whose way to us got
longer, is followed within this; a shorter stall shifts nothing."""


@dataclass(frozen=True)
class Placed:
    """When an image was taken."""

    monotonic_ns: int
    """On this machine's monotonic clock; ages are measured on it."""
    unix_ns: int
    """Since 1970; strictly rising within an epoch."""
    jumped: bool
    """Whether the stream's or the machine's clock jumped right before: a new epoch begins."""


class LiveClock:
    """Places the images of one camera in time.

    Streams count from anywhere, and images arrive late and in bursts. The image that came fastest tells how the
    stream's clock lies to ours; the others were taken as long after it as the stream says, which takes the jitter of
    the network out of the times. What the way takes at least cannot be known from here: it is not part of any age.
    """

    def __init__(self) -> None:
        self._fastest: deque[tuple[int, int]] = deque()
        """Arrival of each image that no later one was faster than, and how far the stream's clock was behind then."""
        self._wall_ns: int | None = None
        self._last_unix_ns = -1
        self._last_ns = -1
        self._settled_ns = 0
        self._last_of_stream: tuple[int, int] | None = None

    def reconnect(self, now_ns: int) -> None:
        """Forgets the stream's clock: the next connection may count from elsewhere.

        Args:
            now_ns: monotonic clock.
        """
        self._fastest.clear()
        self._last_of_stream = None
        self._settled_ns = now_ns + _SETTLE_NS

    def _jumps(self, stream_ns: int, arrival_ns: int) -> bool:
        """Whether the stream's clock went back, or ahead by more than time has passed; being late is no jump."""
        if self._last_of_stream is None:
            return False
        before_ns, then_ns = self._last_of_stream
        ahead_ns = (stream_ns - before_ns) - (arrival_ns - then_ns)
        return stream_ns < before_ns or (ahead_ns > JUMP_NS and self._ahead_of_all(stream_ns, arrival_ns))

    def _ahead_of_all(self, stream_ns: int, arrival_ns: int) -> bool:
        """Whether an image came more than a jump faster than the fastest of late."""
        return not self._fastest or self._fastest[0][1] - (arrival_ns - stream_ns) > JUMP_NS

    def place(self, stream_ns: int | None, arrival_ns: int, unix_ns: int) -> Placed:
        """Returns when an image was taken.

        Args:
            stream_ns: time that the stream states; None where it states none.
            arrival_ns: monotonic clock when the image's last packet came.
            unix_ns: wall clock at that moment.
        """
        jumped = False
        wall_ns = unix_ns - arrival_ns
        if self._wall_ns is not None and abs(wall_ns - self._wall_ns) > JUMP_NS:
            jumped = True  # somebody set the clock of this machine
        self._wall_ns = wall_ns
        taken_ns = arrival_ns
        if stream_ns is not None:
            behind_ns = arrival_ns - stream_ns
            if self._jumps(stream_ns, arrival_ns):
                self._fastest.clear()
                jumped = jumped or arrival_ns > self._settled_ns
            self._last_of_stream = stream_ns, arrival_ns
            while self._fastest and self._fastest[-1][1] >= behind_ns:
                self._fastest.pop()
            self._fastest.append((arrival_ns, behind_ns))
            while self._fastest[0][0] < arrival_ns - _FASTEST_NS:
                self._fastest.popleft()
            taken_ns = stream_ns + self._fastest[0][1]
        if not jumped:
            taken_ns = max(taken_ns, self._last_ns + 1)
        placed_ns = taken_ns + self._wall_ns
        if jumped:
            self._last_unix_ns = placed_ns - 1
        placed_ns = max(placed_ns, self._last_unix_ns + 1)
        self._last_ns, self._last_unix_ns = taken_ns, placed_ns
        return Placed(taken_ns, placed_ns, jumped)
