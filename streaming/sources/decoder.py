"""Packets in, images out, and none of them forgotten.

Each packet carries its number through the decoder (`opaque`), so that a packet without an image is known for what it
is, however the decoder reorders or delays.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import CodecContext, Flags, ThreadType

from roadmask.engines.segmenter import Image
from roadmask.streaming.sources.colour import Orientation, RgbConverter

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_REORDER_MAX = 64
"""No decoder holds an image back for longer than this many packets (H.264 allows 16, threads add a few)."""
_TAIL_MAX = 1200
"""Packets kept for reading the end of a broken file a second time."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A packet that gave an image."""

    pts: int | None
    image: Image
    orientation: Orientation


@dataclass(frozen=True)
class LostPacket:
    """A packet that gave none."""

    pts: int | None


@dataclass(frozen=True, eq=False)
class _Number:
    """What a packet carries through the decoder. PyAV files it by identity, so a bare int, shared, would get lost."""

    value: int


class PacketDecoder:
    """Decodes one video stream and accounts for every packet.

    Images come in the order they are shown. A lost packet is reported once a later packet has given an image that
    is shown after it, at the latest at the end.

    Args:
        stream: what to decode.
        decode_order: the container states when packets are decoded, not when they are shown, as AVI does: the times
            of reordered images are then those of the packets in their order.
    """

    def __init__(self, stream: VideoStream, *, decode_order: bool = False) -> None:
        self.packets = 0
        """Packets to be shown that were taken so far; one that gave two images counts twice."""
        self.taken = 0
        """Packets taken so far, those that an edit list hides included."""
        self._stream = stream
        self._context: VideoCodecContext = stream.codec_context
        self._context.thread_type = ThreadType.AUTO
        self._context.flags |= Flags.copy_opaque
        self._to_rgb = RgbConverter(self._context.name)
        self._decode_times: deque[int | None] | None = deque() if decode_order else None
        self._waiting: dict[int, int | None] = {}
        self._tail: deque[tuple[int, Packet[VideoStream]]] = deque(maxlen=_TAIL_MAX)
        self._keys: deque[int] = deque()

    def decode(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[DecodedImage | LostPacket]:
        """Decodes a whole stream, to its end."""
        for packet in packets:
            if not packet.size:
                continue
            self.taken += 1
            if not packet.is_discard:  # an edit list cuts those: they prime the decoder and are never shown
                if self._decode_times is None:
                    self._waiting[self.packets] = packet.pts
                else:
                    self._waiting[self.packets] = None
                    self._decode_times.append(packet.dts)
                packet.opaque = _Number(self.packets)
                self._remember(packet)
                self.packets += 1
            for frame in _decode(self._context, packet):
                yield from self._settle(frame)
        for frame in _decode(self._context, None):
            yield from self._settle(frame)
        if self._waiting:
            for frame in self._second_reading():
                yield from self._settle(frame)
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

    def _settle(self, frame: VideoFrame) -> Iterator[DecodedImage | LostPacket]:
        number = _number(frame)
        if number in self._waiting:
            del self._waiting[number]
            yield from self._give_up([n for n in self._waiting if self._is_overdue(n, number, frame.pts)])
        else:
            self.packets += 1
        yield DecodedImage(self._time(frame.pts), *self._to_rgb(frame))

    def _is_overdue(self, number: int, shown: int, shown_pts: int | None) -> bool:
        """Whether a waiting packet was sent before the one now shown, and should have been shown before it too."""
        pts = self._waiting[number]
        if pts is not None and shown_pts is not None and number < shown and pts < shown_pts:
            return True
        return number < shown - _REORDER_MAX

    def _give_up(self, numbers: list[int]) -> Iterator[LostPacket]:
        for number in numbers:
            yield LostPacket(self._time(self._waiting.pop(number)))

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


def _number(frame: VideoFrame) -> int:
    return frame.opaque.value if isinstance(frame.opaque, _Number) else -1


def _decode(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return context.decode(packet)
    except av.FFmpegError as error:  # the packet stays among the waiting, and is reported lost
        _log.debug("undecodable packet: %s", error)
        return []
