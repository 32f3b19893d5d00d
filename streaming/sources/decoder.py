"""Packets in, frames out, and none of them forgotten: the decoder of recorded files and of live cameras.

Each packet carries a mark through FFmpeg's decoder (`opaque`), so that a packet without a frame is identified however
the decoder reorders or delays.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import CodecContext, Flags, ThreadType

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_REORDER_MAX = 64
"""No decoder holds a frame back for longer than this many packets (H.264 allows 16, threads add a few)."""
_TAIL_MAX = 1200
"""Packets kept for decoding the end of a broken file a second time."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A packet that gave a frame."""

    tag: int | None
    """Tag of the packet; None for the second frame of a packet that gave two, as one of two fields may."""
    pts: int | None
    """Presentation time in the stream's time base; None where neither container nor stream states it."""
    frame: VideoFrame
    """What FFmpeg decoded; `RgbConverter` turns it into an image."""


@dataclass(frozen=True)
class LostPacket:
    """A packet that gave no frame."""

    tag: int
    """Tag of the packet."""
    pts: int | None
    """Presentation time in the stream's time base; None where it is not known."""


@dataclass(frozen=True, eq=False)
class _Mark:
    """What a packet carries through the decoder. PyAV files it by identity, so a bare int, shared, would get lost."""

    number: int


class PacketDecoder:
    """Decodes the packets of one video stream and accounts for each of them.

    Frames come in display order. A packet is reported lost once a frame is shown that should have followed its own,
    at the latest by `finish`. Every packet that `decode` takes gives exactly one item with its tag, a `DecodedFrame`
    or a `LostPacket`; a second frame from one packet has no tag.

    A recorded file hands over all its packets with `decode_all`. A live camera calls `decode` for each packet that it
    wants decoded, with its own capture count as the tag, and `finish` once the connection is lost::

        decoder = PacketDecoder(stream.codec_context, reread_end=False)
        for packet in packets:
            for item in decoder.decode(packet, tag=frame_index):
                ...

    Args:
        context: the stream's decoder; its threads and other flags are the caller's choice.
        decode_order: the container states when packets are decoded, not when they are shown, as AVI does: the times
            of reordered frames are then those of the packets in their order.
        reread_end: keep the last packets, and when some of them gave no frame, decode them a second time without
            threads at the end.
    """

    def __init__(self, context: VideoCodecContext, *, decode_order: bool = False, reread_end: bool = True) -> None:
        self.packets = 0
        """Packets to be shown that were taken so far; one that gave two frames counts twice."""
        self.taken = 0
        """Packets taken so far, including those that an edit list hides."""
        self._context = context
        self._context.flags |= Flags.copy_opaque
        self._reread_end = reread_end
        self._decode_times: deque[int | None] | None = deque() if decode_order else None
        self._waiting: dict[int, _Waiting] = {}
        self._tail: deque[tuple[int, Packet[VideoStream]]] = deque(maxlen=_TAIL_MAX)
        self._keys: deque[int] = deque()

    @property
    def waiting(self) -> int:
        """Packets that were taken and have given neither a frame nor a loss yet."""
        return len(self._waiting)

    def decode_all(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[DecodedFrame | LostPacket]:
        """Decodes a whole stream to its end; packets are tagged with their count from 0."""
        for packet in packets:
            yield from self.decode(packet)
        yield from self.finish()

    def decode(self, packet: Packet[VideoStream], tag: int | None = None) -> Iterator[DecodedFrame | LostPacket]:
        """Decodes one packet; yields what is ready to be shown, and what is lost for certain.

        Args:
            packet: the next packet. One without data is ignored. One that an edit list hides (`packet.is_discard`)
                primes the decoder, is never shown and gives no item.
            tag: comes back with the packet's item; `packets` if None.
        """
        if not packet.size:
            return
        self.taken += 1
        if not packet.is_discard:
            pts = packet.pts
            if self._decode_times is not None:
                self._decode_times.append(packet.dts)
                pts = None
            self._waiting[self.packets] = _Waiting(self.packets if tag is None else tag, pts)
            packet.opaque = _Mark(self.packets)
            if self._reread_end:
                self._remember(packet)
            self.packets += 1
        for frame in _decode(self._context, packet):
            yield from self._account(frame)

    def finish(self) -> Iterator[DecodedFrame | LostPacket]:
        """Ends the stream: yields the frames that the decoder still holds, and reports all other packets lost."""
        for frame in _decode(self._context, None):
            yield from self._account(frame)
        if self._waiting and self._reread_end:
            for frame in self._second_reading():
                yield from self._account(frame)
        yield from self._give_up(list(self._waiting))

    def _remember(self, packet: Packet[VideoStream]) -> None:
        """Keeps the packets from the last keyframe on that the oldest waiting packet depends on."""
        self._tail.append((self.packets, packet))
        if packet.is_keyframe:
            self._keys.append(self.packets)
        oldest = next(iter(self._waiting))
        while len(self._keys) > 1 and self._keys[1] <= oldest:
            self._keys.popleft()
        while self._keys and self._tail[0][0] < self._keys[0]:
            self._tail.popleft()

    def _account(self, frame: VideoFrame) -> Iterator[DecodedFrame | LostPacket]:
        number = _number(frame)
        packet = self._waiting.pop(number, None)
        if packet is None:
            self.packets += 1
        else:
            yield from self._give_up([n for n in self._waiting if self._is_overdue(n, number, frame.pts)])
        yield DecodedFrame(None if packet is None else packet.tag, self._time(frame.pts), frame)

    def _is_overdue(self, number: int, shown: int, shown_pts: int | None) -> bool:
        """Whether a waiting packet was sent before the one now shown, and should have been shown before it too."""
        pts = self._waiting[number].pts
        if pts is not None and shown_pts is not None and number < shown and pts < shown_pts:
            return True
        return number < shown - _REORDER_MAX

    def _give_up(self, numbers: list[int]) -> Iterator[LostPacket]:
        for number in numbers:
            packet = self._waiting.pop(number)
            yield LostPacket(packet.tag, self._time(packet.pts))

    def _time(self, pts: int | None) -> int | None:
        if self._decode_times is None:
            return pts
        return self._decode_times.popleft() if self._decode_times else None

    def _second_reading(self) -> list[VideoFrame]:
        """Decodes the end again, frame by frame: an error while several threads drain takes its neighbours with it."""
        context = cast("VideoCodecContext", CodecContext.create(self._context.name, "r"))
        context.extradata = self._context.extradata
        context.thread_type = ThreadType.NONE
        context.flags |= Flags.copy_opaque
        frames: list[VideoFrame] = []
        for packet in [*(packet for _, packet in self._tail), None]:
            frames += (frame for frame in _decode(context, packet) if _number(frame) in self._waiting)
        return frames


@dataclass(frozen=True)
class _Waiting:
    """A packet that has given no frame yet."""

    tag: int
    pts: int | None


def _number(frame: VideoFrame) -> int:
    return frame.opaque.number if isinstance(frame.opaque, _Mark) else -1


def _decode(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return context.decode(packet)
    except (av.FFmpegError, EOFError) as error:  # the packet stays among the waiting, and is reported lost
        _log.debug("undecodable packet: %s", error)
        return []
