"""Decodes one live camera: keeps the newest image, counts every packet, connects again when the stream is lost.

Runs in a process of its own (`decoder_process`), because FFmpeg can hang where no timeout reaches it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.live.address import Address
from roadmask.streaming.live.clock import LiveClock
from roadmask.streaming.live.connection import Connection, StreamError
from roadmask.streaming.live.counts import Counts, CountsFile
from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.live.spacing import Spacing
from roadmask.streaming.sources.colour import Orientation, RgbConverter, orientation_of

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

RETRY_FIRST_S, RETRY_MAX_S = 0.25, 2.0
"""Time between attempts: doubles from the first to the longest, and is jittered so that cameras do not come at once."""
REFUSED_S = 4.0
"""Time between attempts where the camera refused us: seldom, so that it does not lock the user out."""
UNDECODABLE_S, _UNDECODABLE_PACKETS = 5.0, 32
"""A stream that gave so many packets, and no image for so long, is connected anew: its codec may have changed."""
_KEY_WAIT = 300
"""Packets to wait for one that is marked as decodable by itself; some cameras never mark any."""

Tell = Callable[[CameraState, str], None]


@dataclass(frozen=True, eq=False)
class LiveImageAt:
    """An image as it is handed on."""

    frame_index: int
    """Capture count of the camera, from 0."""
    number: int
    """Count of the images that were handed on, from 1: a gap means that some were lost on the way."""
    epoch: int
    unix_ns: int
    """When it was taken, nanoseconds since 1970."""
    taken_ns: int
    """The same on the monotonic clock."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright."""


@dataclass(frozen=True, eq=False)
class _Newest:
    frame_index: int
    epoch: int
    unix_ns: int
    taken_ns: int
    frame: VideoFrame
    convert: RgbConverter


class _Number:
    """What a packet carries through the decoder. PyAV files it by identity, so a bare int, shared, would get lost."""

    def __init__(self, value: int) -> None:
        self.value = value


class LiveDecoder:
    """Reads a camera until it ends or `stop` is called; hands its newest image to whoever asks.

    Args:
        address: the camera.
        file: where its counts go on from what a decoder before counted.
        tell: called with each new state and one sentence about it.
    """

    def __init__(self, address: Address, file: CountsFile, tell: Tell) -> None:
        self._address = address
        self._file = file
        self._tell = tell
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._clock = LiveClock()
        self._spacing = Spacing()
        self._waiting: dict[int, int | None] = {}
        self._newest: _Newest | None = None
        self._orientation: Orientation | None = None
        self._connections = 0
        self.ended = False
        counts = file.read()
        # What a decoder before this one held died with it.
        self._counts = replace(counts, gone=counts.gone + counts.captured - counts.settled, held=0)
        self._had_image = counts.captured > 0
        self._publish()

    def run(self) -> None:
        """Connects, reads, and connects again; returns when the source ended, can never work, or `stop` was called."""
        attempt = 0
        while not self._stopping.is_set():
            captured = self._counts.captured
            self._tell(CameraState.CONNECTING, f"connecting to {self._address.shown}")
            try:
                self._read()
            except StreamError as error:
                if error.state in (CameraState.ENDED, CameraState.FAILED):
                    self._tell(error.state, error.detail)
                    break
                attempt = 0 if self._counts.captured > captured else attempt + 1
                self._tell(error.state, error.detail)
                self._pause(error.state, attempt)
        with self._lock:
            self.ended = True
            self._lock.notify_all()

    def take(self, timeout_s: float) -> LiveImageAt | None:
        """Returns the newest image that was not taken yet; None if there is none in time, or the source ended."""
        with self._lock:
            self._lock.wait_for(lambda: self._newest is not None or self.ended, timeout_s)
            newest, self._newest = self._newest, None
            if newest is None:
                return None
            self._count(handed=1)
            number = self._counts.handed
        image, _ = newest.convert(newest.frame)
        return LiveImageAt(newest.frame_index, number, newest.epoch, newest.unix_ns, newest.taken_ns, image)

    def limit(self, fps: float | None) -> None:
        """Sets how many images a second are offered at most, evenly spaced; all if None."""
        self._spacing.limit(fps)

    def stop(self) -> None:
        """Ends `run` after the packet it is at."""
        self._stopping.set()

    def _pause(self, state: CameraState, attempt: int) -> None:
        longest = REFUSED_S if state is CameraState.REFUSED else min(RETRY_FIRST_S * 2**attempt, RETRY_MAX_S)
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        while time.monotonic() < until and not self._stopping.wait(0.1):
            self._beat()

    def _read(self) -> None:
        self._beat()
        with Connection(self._address) as connection:
            self._clock.reconnect(time.monotonic_ns())
            self._connections += 1
            if self._had_image:
                self._had_image = False  # counted once a connection
                with self._lock:
                    self._count(reconnects=1)
            context: VideoCodecContext = connection.stream.codec_context
            convert = RgbConverter(connection.codec)
            unit = Fraction(connection.stream.time_base or Fraction(1, 1_000_000)) * 1_000_000_000
            pace = _Pace() if self._address.ends else None
            alone = connection.intra_only and pace is None  # what is not needed need not be decoded, either
            keyed, skipped, live, shown_at = False, 0, False, time.monotonic()
            try:
                for packet in connection.packets():
                    keyed = keyed or packet.is_keyframe or skipped >= _KEY_WAIT
                    if live and alone and not self._spacing.takes(time.monotonic_ns()):
                        self._thin_out()
                        continue
                    with self._lock:
                        number = self._counts.captured
                        if keyed:
                            self._waiting[number] = packet.pts
                        self._count(captured=1, before_keyframe=0 if keyed else 1, beat=True)
                    if not keyed:
                        skipped += 1
                        continue
                    packet.opaque = _Number(number)
                    for frame in _decode(context, packet):
                        if not live:
                            live = self._had_image = True
                            self._tell(CameraState.LIVE, "")
                        self._show(frame, convert, unit if connection.stamped else None, pace, picked=alone)
                        shown_at = time.monotonic()
                    self._require_images(shown_at)
                    if self._stopping.is_set():
                        return
            except StreamError:
                for frame in _decode(context, None):
                    self._show(frame, convert, unit if connection.stamped else None, pace, picked=alone)
                raise
            finally:
                with self._lock:  # what the decoder still holds gives no image any more
                    lost = len(self._waiting)
                    self._waiting.clear()
                    self._count(undecodable=lost)

    def _require_images(self, shown_at: float) -> None:
        """Gives up a connection whose packets give no images."""
        if time.monotonic() - shown_at > UNDECODABLE_S and len(self._waiting) >= _UNDECODABLE_PACKETS:
            raise StreamError(CameraState.RECONNECTING, "packets come, but none of them can be decoded")

    def _thin_out(self) -> None:
        """Leaves out an image before it is decoded."""
        with self._lock:
            self._counts = replace(self._counts, image_ns=time.monotonic_ns())
            self._count(captured=1, thinned=1, beat=True)

    def _show(
        self, frame: VideoFrame, convert: RgbConverter, unit: Fraction | None, pace: _Pace | None, *, picked: bool
    ) -> None:
        """Makes a decoded image the newest one, if it was picked or is now."""
        stream_ns = None if unit is None or frame.pts is None else round(frame.pts * unit)
        if pace is not None:
            self._wait_until(pace.due_ns(stream_ns))
        arrival_ns, unix_ns = time.monotonic_ns(), time.time_ns()
        if pace is not None:
            unix_ns -= arrival_ns - min(arrival_ns, pace.last_ns)
            arrival_ns, stream_ns = min(arrival_ns, pace.last_ns), None  # late decoding is part of the age
        placed = self._clock.place(stream_ns, arrival_ns, unix_ns)
        orientation = orientation_of(frame)
        height, width = (frame.width, frame.height) if orientation.transposed else (frame.height, frame.width)
        turned = self._orientation is not None and orientation != self._orientation
        self._orientation = orientation
        with self._lock:
            number = self._settle(frame)
            new_size = self._counts.size is not None and (height, width) != self._counts.size
            if new_size or turned or placed.jumped:
                self._counts = replace(self._counts, epoch=self._counts.epoch + 1)
            self._counts = replace(self._counts, height=height, width=width, image_ns=placed.monotonic_ns)
            if picked or self._spacing.takes(placed.monotonic_ns):
                if self._newest is not None:
                    self._counts = replace(self._counts, stale=self._counts.stale + 1)
                self._newest = _Newest(number, self._counts.epoch, placed.unix_ns, placed.monotonic_ns, frame, convert)
            else:
                self._counts = replace(self._counts, thinned=self._counts.thinned + 1)
            self._publish()
            self._lock.notify_all()

    def _settle(self, frame: VideoFrame) -> int:
        """Returns the number of the packet an image came from; gives up those that should have come before it."""
        number = frame.opaque.value if isinstance(frame.opaque, _Number) else -1
        if number not in self._waiting:  # a packet of two fields may give two images
            number = self._counts.captured
            self._counts = replace(self._counts, captured=number + 1)
        self._waiting.pop(number, None)
        overdue = [n for n, pts in self._waiting.items() if n < number and _earlier(pts, frame.pts)]
        for n in overdue:
            del self._waiting[n]
        self._counts = replace(self._counts, undecodable=self._counts.undecodable + len(overdue))
        return number

    def _wait_until(self, due_ns: int) -> None:
        while (left := (due_ns - time.monotonic_ns()) / 1e9) > 0 and not self._stopping.wait(min(left, 0.2)):
            self._beat()

    def _beat(self) -> None:
        with self._lock:
            self._count(beat=True)

    def _count(self, *, beat: bool = False, **added: int) -> None:
        changes: dict[str, Any] = {name: getattr(self._counts, name) + count for name, count in added.items()}
        if beat:
            changes["beat_ns"] = time.monotonic_ns()
        self._counts = replace(self._counts, **changes)
        self._publish()

    def _publish(self) -> None:
        held = len(self._waiting) + (self._newest is not None)
        self._counts = replace(self._counts, held=held)
        self._file.write(self._counts)

    @property
    def counts(self) -> Counts:
        """The counts as they are."""
        return self._counts


class _Pace:
    """When each image of a file is due, if it is replayed at its own pace."""

    def __init__(self) -> None:
        self._start_ns: int | None = None
        self.last_ns = 0
        """When the newest image was due, on the monotonic clock."""

    def due_ns(self, stream_ns: int | None) -> int:
        """Returns when an image is due."""
        now_ns = time.monotonic_ns()
        if self._start_ns is None:
            self._start_ns = now_ns - (stream_ns or 0)
        due_ns = self.last_ns + 40_000_000 if stream_ns is None else self._start_ns + stream_ns
        self.last_ns = max(due_ns, self.last_ns + 1)
        return self.last_ns


def _earlier(pts: int | None, shown: int | None) -> bool:
    return pts is None or shown is None or pts < shown


def _decode(context: VideoCodecContext, packet: Any) -> list[VideoFrame]:
    """Decodes; a packet that cannot be stays among the waiting and is given up when a later one shows."""
    try:
        return context.decode(packet)
    except (av.FFmpegError, EOFError):
        return []
