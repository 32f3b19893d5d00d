"""Decodes one live camera: keeps its newest images, counts every frame, and reconnects when the stream is lost.

It runs in a process of its own (`decoder_process`), because FFmpeg can hang where no timeout reaches it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import BEFORE_KEYFRAME
from roadmask.streaming.sources.colour import Orientation, RgbConverter, orientation_of
from roadmask.streaming.sources.decoder import DecodedFrame, MissingFrame, PacketDecoder
from roadmask.streaming.sources.live.address import Address
from roadmask.streaming.sources.live.clock import LiveClock, Placed
from roadmask.streaming.sources.live.connection import Connection, StreamError
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.pacing import Backlog, ReplayPace, Spacing
from roadmask.streaming.sources.live.protocol import CameraState, FrameNote

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

RETRY_FIRST_S, RETRY_MAX_S = 0.25, 2.0
"""Seconds between attempts to connect: they double from the first to the longest, with jitter, so that the cameras of a
run do not connect all at once."""
REFUSED_S = 4.0
"""Seconds between attempts where the camera refused the connection: rarely, so that it does not lock the user out."""
UNDECODABLE_S, _UNDECODABLE_PACKETS = 5.0, 32
"""A stream that sent this many packets and gave no image for this long is reconnected: its codec may have changed."""
_KEY_WAIT = 300
"""Packets to wait for one that is marked as decodable by itself; some cameras never mark any."""
_BURST_MAX = 16
"""Maximum number of images that come at once: no stream reorders more frames (ITU-T H.264, A.3.1)."""

Tell = Callable[[CameraState, str], None]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """An image that waits to be requested, not yet converted: most are replaced before anybody requests them."""

    frame_index: int
    epoch: int
    placed: Placed
    frame: VideoFrame
    convert: RgbConverter


class _Reading:
    """What belongs to one connection: how its images are converted, timed and picked.

    Args:
        connection: an open stream.
        replayed: the source is a file, replayed at its own pace.
        captured: frames that were captured before this connection.
    """

    def __init__(self, connection: Connection, *, replayed: bool, captured: int) -> None:
        self.decoder = PacketDecoder(connection.stream.codec_context, reread_end=False)
        self.convert = RgbConverter(connection.codec)
        self.pace = ReplayPace() if replayed else None
        self.picks_packets = connection.intra_only and not replayed
        """Whether images are picked before they are decoded: those that are not picked need not be."""
        self.live = False
        """Whether an image has been decoded."""
        self.image_at = time.monotonic()
        """When the newest image was decoded."""
        self.not_decoded = captured
        """Frames that were captured before this connection, or left out of it before they were decoded."""
        self.burst = 1
        """How many frames the decoder may give at the same time."""
        self._resolved = 0
        unit = Fraction(connection.stream.time_base or Fraction(1, 1_000_000)) * 1_000_000_000
        self._unit = unit if connection.stamped else None

    @property
    def captured(self) -> int:
        """Frames that were captured so far."""
        return self.not_decoded + self.decoder.frames

    def resolve(self, item: DecodedFrame | MissingFrame) -> None:
        """Takes the next item of the decoder, and learns how its frames are reordered.

        A frame that is decoded before others that precede it, as with B-frames, is held back until they are shown;
        those that follow it then come out with it. The frames of a replayed file are shown one by one.
        """
        if item.number is None:
            return
        if self.pace is None and isinstance(item, DecodedFrame):
            self.burst = min(max(self.burst, 1 + self._resolved - item.number), _BURST_MAX)
        self._resolved += 1

    def stream_ns(self, pts: int | None) -> int | None:
        """Returns the time that the stream states for an image, nanoseconds; None where it states none."""
        return None if self._unit is None or pts is None else round(pts * self._unit)


class LiveDecoder:
    """Reads a camera until it ends or `stop` is called; hands its newest image to whoever requests one.

    Whoever is slow gets the newest image, whoever is fast gets all of them, in the order in which they are shown; see
    `Backlog`.

    Args:
        address: the camera.
        file: its counts, which go on from those of the decoder before this one.
        tell: called with each new state and one sentence about it.
    """

    def __init__(self, address: Address, file: CountsFile, tell: Tell) -> None:
        self._address = address
        self._file = file
        self._tell = tell
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._spacing = Spacing()
        self._in_decoder = 0
        """Frames that a packet began and that are neither decoded nor missing yet."""
        self._waiting: Backlog[_Waiting] = Backlog()
        self._orientation: Orientation | None = None
        self.ended = False
        counts = file.read()
        self._clock = LiveClock(counts.image_unix_ns)
        # What the decoder before this one held died with it.
        self._counts = replace(counts, killed=counts.killed + counts.captured - counts.decided, held=0)
        self._had_image = counts.captured > 0
        self._publish()

    def run(self) -> None:
        """Connects, reads, and reconnects; returns when the source ended, can never work, or `stop` was called."""
        attempt = 0
        while not self._stopping.is_set():
            captured = self._counts.captured
            self._tell(CameraState.CONNECTING, f"connecting to {self._address.shown}")
            try:
                self._read()
            except StreamError as error:
                self._tell(error.state, error.detail)
                if error.state in (CameraState.ENDED, CameraState.FAILED):
                    break
                attempt = 0 if self._counts.captured > captured else attempt + 1
                self._pause(error.state, attempt)
        with self._lock:
            self.ended = True
            self._lock.notify_all()

    def take(self, timeout_s: float) -> tuple[FrameNote, Frame] | None:
        """Returns the next image that was not taken yet; None if there is none in time, or the source ended."""
        with self._lock:
            self._waiting.ask()
            self._lock.wait_for(lambda: self._waiting or self.ended, timeout_s)
            newest = self._waiting.take()
            if newest is None:
                return None
            self._count(handed=1)
            number = self._counts.handed
        image, _ = newest.convert(newest.frame)
        unix_ns, monotonic_ns = newest.placed.unix_ns, newest.placed.monotonic_ns
        camera, index = self._address.camera, newest.frame_index
        frame = Frame(camera, newest.epoch, index, unix_ns, "unix", image, monotonic_ns)
        return FrameNote(index, number, monotonic_ns), frame

    def limit(self, fps: float | None) -> None:
        """Sets the maximum number of images per second, evenly spaced; None means no limit."""
        self._spacing.limit(fps)

    def stop(self) -> None:
        """Ends `run` after the current packet."""
        self._stopping.set()

    def _pause(self, state: CameraState, attempt: int) -> None:
        longest = REFUSED_S if state is CameraState.REFUSED else min(RETRY_FIRST_S * 2**attempt, RETRY_MAX_S)
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        while time.monotonic() < until and not self._stopping.wait(0.1):
            self._beat()

    def _read(self) -> None:
        """Reads one connection to its end.

        Raises:
            StreamError: how it ended.
        """
        self._beat()
        with Connection(self._address) as connection:
            self._clock.reconnect(time.monotonic_ns())
            if self._had_image:
                self._had_image = False  # counted once a connection
                with self._lock:
                    self._count(reconnects=1)
            reading = _Reading(connection, replayed=self._address.ends, captured=self._counts.captured)
            keyed, skipped = False, 0
            try:
                for packet in connection.packets():
                    keyed = keyed or packet.is_keyframe or skipped >= _KEY_WAIT
                    if reading.live and reading.picks_packets and not self._spacing.takes(time.monotonic_ns()):
                        self._leave_out(reading, thinned=1)
                    elif keyed:
                        decoded = reading.decoder.decode(packet)
                        with self._lock:
                            self._follow(reading)
                            self._count(beat=True)
                        self._account(reading, decoded)
                        self._require_images(reading)
                    else:
                        skipped += 1
                        self._leave_out(reading, before_keyframe=reading.decoder.skip(packet))
                    if self._stopping.is_set():
                        break
            finally:
                self._account(reading, reading.decoder.finish())

    def _account(self, reading: _Reading, items: Iterable[DecodedFrame | MissingFrame]) -> None:
        for item in items:
            reading.resolve(item)
            if isinstance(item, MissingFrame):
                early = item.reason == BEFORE_KEYFRAME
                with self._lock:
                    self._follow(reading)
                    self._count(before_keyframe=int(early), undecodable=int(not early))
                continue
            if not reading.live:
                reading.live = self._had_image = True
                self._tell(CameraState.LIVE, "")
            self._show(reading, item)
            reading.image_at = time.monotonic()

    def _require_images(self, reading: _Reading) -> None:
        """Gives up a connection whose packets give no images."""
        silent_s = time.monotonic() - reading.image_at
        if silent_s > UNDECODABLE_S and reading.decoder.waiting >= _UNDECODABLE_PACKETS:
            raise StreamError(CameraState.RECONNECTING, "packets arrive, but none of them can be decoded")

    def _leave_out(self, reading: _Reading, *, thinned: int = 0, before_keyframe: int = 0) -> None:
        """Counts a frame that is not decoded."""
        with self._lock:
            if thinned:  # a camera whose images are left out has not stalled
                self._counts = replace(self._counts, image_ns=time.monotonic_ns())
            reading.not_decoded += thinned + before_keyframe
            self._follow(reading)
            self._count(thinned=thinned, before_keyframe=before_keyframe, beat=True)

    def _follow(self, reading: _Reading) -> None:
        """Takes over what the decoder has counted."""
        self._in_decoder = reading.decoder.waiting
        self._counts = replace(self._counts, captured=reading.captured)

    def _show(self, reading: _Reading, decoded: DecodedFrame) -> None:
        """Makes a decoded image the newest one, if it was picked before or is picked now."""
        frame, stream_ns, pace = decoded.frame, reading.stream_ns(decoded.pts), reading.pace
        if pace is not None:
            self._wait_until(pace.due_ns(stream_ns))
        arrival_ns, unix_ns = time.monotonic_ns(), time.time_ns()
        if pace is not None:  # late decoding is part of the age
            unix_ns -= arrival_ns - min(arrival_ns, pace.last_ns)
            arrival_ns, stream_ns = min(arrival_ns, pace.last_ns), None
        placed = self._clock.place(stream_ns, arrival_ns, unix_ns)
        orientation = orientation_of(frame)
        height, width = (frame.width, frame.height) if orientation.transposed else (frame.height, frame.width)
        turned = self._orientation is not None and orientation != self._orientation
        self._orientation = orientation
        with self._lock:
            self._follow(reading)
            index = reading.captured - self._in_decoder - 1  # all others are decoded, missing or left out
            new_size = self._counts.size is not None and (height, width) != self._counts.size
            if new_size or turned or placed.jumped:
                self._counts = replace(self._counts, epoch=self._counts.epoch + 1)
            times = {"image_ns": placed.monotonic_ns, "image_unix_ns": placed.unix_ns}
            self._counts = replace(self._counts, height=height, width=width, **times)
            if reading.picks_packets or self._spacing.takes(placed.monotonic_ns):
                image = _Waiting(index, self._counts.epoch, placed, frame, reading.convert)
                stale = self._waiting.put(image, placed.monotonic_ns, reading.burst)
                self._counts = replace(self._counts, stale=self._counts.stale + stale)
            else:
                self._counts = replace(self._counts, thinned=self._counts.thinned + 1)
            self._publish()
            self._lock.notify_all()

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
        held = self._in_decoder + len(self._waiting)
        self._counts = replace(self._counts, held=held)
        self._file.write(self._counts)
