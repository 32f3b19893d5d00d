"""When a live image was captured, on a clock that never goes back within an epoch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

JUMP_NS = 1_000_000_000
"""A clock that is off by more than this has jumped; less is jitter or drift, and is followed."""
_BURST_NS = 3_000_000_000
"""A new connection begins with a burst of what was buffered; its clock is believed only after this time."""
_FASTEST_NS = 5_000_000_000
"""The offset between the clocks is that of the fastest image in this time: a stream that runs slower than this machine,
or whose delay has grown, is followed within it; a shorter stall shifts nothing."""


@dataclass(frozen=True)
class Placed:
    """When an image was captured."""

    monotonic_ns: int
    """Capture time on this machine's monotonic clock; ages are measured on it."""
    unix_ns: int
    """Capture time since 1970; strictly rising within an epoch."""
    jumped: bool
    """Whether the clock of the stream or of the machine jumped right before: a new epoch begins."""


class LiveClock:
    """Places the images of one camera in time.

    Streams count from anywhere, and images arrive late and in bursts. The image that arrived fastest gives the offset
    between the stream's clock and ours; every other image was captured as long after it as the stream says, which takes
    the jitter of the network out of the times. The least possible delay cannot be known here, and is part of no age.

    Args:
        last_unix_ns: capture time of the camera's newest image so far, as another process placed it; 0 if there is
            none.
    """

    def __init__(self, last_unix_ns: int = 0) -> None:
        self._fastest: deque[tuple[int, int]] = deque()
        """Arrival of each image that no later one was faster than, and the lag of the stream's clock behind ours."""
        self._wall_ns: int | None = None
        """Wall clock minus monotonic clock."""
        self._last_unix_ns = last_unix_ns
        self._last_ns = -1
        self._believed_ns = 0
        """Monotonic time from which on jumps of the stream's clock count."""
        self._last_of_stream: tuple[int, int] | None = None

    def reconnect(self, now_ns: int) -> None:
        """Forgets the stream's clock: the next connection may count from elsewhere.

        Args:
            now_ns: monotonic clock.
        """
        self._fastest.clear()
        self._last_of_stream = None
        self._believed_ns = now_ns + _BURST_NS

    def place(self, stream_ns: int | None, arrival_ns: int, unix_ns: int) -> Placed:
        """Returns when an image was captured.

        Args:
            stream_ns: time that the stream states; None where it states none.
            arrival_ns: monotonic clock when the image's last packet arrived.
            unix_ns: wall clock at that moment.
        """
        wall_ns = unix_ns - arrival_ns
        if self._wall_ns is None:  # somebody may have set this machine's clock back while no process decoded
            jumped = self._last_unix_ns - unix_ns > JUMP_NS
        else:
            jumped = abs(wall_ns - self._wall_ns) > JUMP_NS
        self._wall_ns = wall_ns
        captured_ns = arrival_ns
        if stream_ns is not None:
            lag_ns = arrival_ns - stream_ns
            if self._stream_jumps(stream_ns, arrival_ns):
                self._fastest.clear()
                jumped = jumped or arrival_ns > self._believed_ns
            self._last_of_stream = stream_ns, arrival_ns
            while self._fastest and self._fastest[-1][1] >= lag_ns:
                self._fastest.pop()
            self._fastest.append((arrival_ns, lag_ns))
            while self._fastest[0][0] < arrival_ns - _FASTEST_NS:
                self._fastest.popleft()
            captured_ns = stream_ns + self._fastest[0][1]
        if not jumped:
            captured_ns = max(captured_ns, self._last_ns + 1)
        placed_ns = captured_ns + self._wall_ns
        if jumped:
            self._last_unix_ns = placed_ns - 1
        placed_ns = max(placed_ns, self._last_unix_ns + 1)
        self._last_ns, self._last_unix_ns = captured_ns, placed_ns
        return Placed(captured_ns, placed_ns, jumped)

    def _stream_jumps(self, stream_ns: int, arrival_ns: int) -> bool:
        """Returns whether the stream's clock went back, or ahead by more than time has passed; late is no jump."""
        if self._last_of_stream is None:
            return False
        before_ns, then_ns = self._last_of_stream
        ahead_ns = (stream_ns - before_ns) - (arrival_ns - then_ns)
        return stream_ns < before_ns or (ahead_ns > JUMP_NS and self._ahead_of_all(stream_ns, arrival_ns))

    def _ahead_of_all(self, stream_ns: int, arrival_ns: int) -> bool:
        """Returns whether an image arrived more than a jump faster than the fastest of late."""
        return not self._fastest or self._fastest[0][1] - (arrival_ns - stream_ns) > JUMP_NS
