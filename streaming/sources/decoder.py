"""Packets in, frames out, and none of them forgotten: the decoder of recorded files and of live cameras.

Frames are counted, not packets: two packets may hold the two fields of one frame, others hold nothing that is ever
shown (`packets`). Each packet carries the number of its frame through FFmpeg's decoder (`opaque`), so that a frame that
did not come out is identified however the decoder reorders or delays.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import CodecContext, Flags, ThreadType

from roadmask.streaming.ledger import BEFORE_KEYFRAME, DECODE
from roadmask.streaming.sources.packets import Content, PacketReader

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
    """A frame that was decoded."""

    number: int | None
    """Count of the frame in decoding order, from 0; None where no packet is known to have begun it."""
    pts: int | None
    """Presentation time in the stream's time base; None where neither container nor stream states it."""
    frame: VideoFrame
    """What FFmpeg decoded; `RgbConverter` turns it into an image."""


@dataclass(frozen=True)
class MissingFrame:
    """A frame that a packet began and that the decoder did not give."""

    number: int
    """Count of the frame in decoding order, from 0."""
    pts: int | None
    """Presentation time in the stream's time base; None where it is not known."""
    reason: str
    """`decode` where the frame should have been decoded; `before_keyframe` where it needs frames from before the
    keyframe with which the stream begins, so that no player shows it."""


@dataclass(frozen=True, eq=False)
class _Mark:
    """What a packet carries through the decoder. PyAV files it by identity, so a bare int, shared, would get lost."""

    number: int


class PacketDecoder:
    """Decodes the packets of one video stream and accounts for each of its frames.

    Frames come in display order. A frame is reported missing once one is shown that should have followed it, at the
    latest by `finish`. Every frame that a packet begins gives exactly one item, a `DecodedFrame` or a `MissingFrame`.

    A recorded file hands over all its packets with `decode_all`. A live camera calls `decode` for each packet that it
    wants decoded, and `finish` once the connection is lost::

        decoder = PacketDecoder(stream.codec_context, reread_end=False)
        for packet in packets:
            for item in decoder.decode(packet):
                ...

    Args:
        context: the stream's decoder; its threads and other flags are the caller's choice.
        decode_order: the container states when packets are decoded, not when they are shown, as AVI does: the times
            of reordered frames are then those of the packets in their order.
        reread_end: keep the last packets, and when some of them gave no frame, decode them a second time without
            threads at the end.
    """

    def __init__(self, context: VideoCodecContext, *, decode_order: bool = False, reread_end: bool = True) -> None:
        self.frames = 0
        """Frames that were captured so far: begun by a packet and to be shown, or decoded without a known packet."""
        self._begun = 0
        self._hidden = False
        """Whether an edit list hides the newest frame."""
        self._context = context
        self._context.flags |= Flags.copy_opaque
        self._contents = PacketReader(context.name, context.extradata)
        self._start = _Start()
        self._reread_end = reread_end
        self._decode_times: deque[int | None] | None = deque() if decode_order else None
        self._waiting: dict[int, _Waiting] = {}
        self._last_pts = -(2**63)
        self._reordered = False
        """Whether the times of packets show that frames are displayed in another order than they are decoded. If they
        do not although the decoder reorders frames, they are times of decoding and say nothing of the order."""
        self._tail: deque[tuple[int, Packet[VideoStream]]] = deque(maxlen=_TAIL_MAX)
        self._keys: deque[int] = deque()

    @property
    def waiting(self) -> int:
        """Frames that a packet began and that are neither decoded nor missing yet."""
        return len(self._waiting)

    def decode_all(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[DecodedFrame | MissingFrame]:
        """Decodes a whole stream to its end."""
        for packet in packets:
            yield from self.decode(packet)
        yield from self.finish()

    def decode(self, packet: Packet[VideoStream]) -> Iterator[DecodedFrame | MissingFrame]:
        """Decodes one packet; returns the frames that are ready to be shown, and those that are missing for certain.

        `frames` and `waiting` count the packet at once; it is decoded when the result is iterated, which must be done.

        Args:
            packet: the next packet. One without data is ignored. One that an edit list hides (`packet.is_discard`)
                primes the decoder, is never shown and gives no item.
        """
        if not packet.size:
            return iter(())
        content = self._content(packet)
        if content not in {Content.SECOND_FIELD, Content.NOTHING}:
            self._hidden = bool(packet.is_discard)
        if not packet.is_discard and not (self._hidden and content is Content.SECOND_FIELD):
            self._take(packet, content)
        return self._decode(packet)

    def skip(self, packet: Packet[VideoStream]) -> int:
        """Takes a packet that is not to be decoded; returns the number of frames that it begins, which is 0 or 1."""
        return int(self._content(packet) not in {Content.SECOND_FIELD, Content.NOTHING})

    def _content(self, packet: Packet[VideoStream]) -> Content:
        return self._contents.read(bytes(packet)) if self._contents.reads else Content.FRAME

    def _decode(self, packet: Packet[VideoStream]) -> Iterator[DecodedFrame | MissingFrame]:
        for frame in _decode(self._context, packet):
            yield from self._account(frame)

    def _take(self, packet: Packet[VideoStream], content: Content) -> None:
        """Counts the frame that a packet begins."""
        number = self._begun
        if content is Content.SECOND_FIELD:
            number -= 1
        elif content is not Content.NOTHING:
            pts = packet.pts
            if self._decode_times is not None:
                self._decode_times.append(packet.dts)
                pts = None
            if pts is not None:
                self._reordered = self._reordered or pts < self._last_pts
                self._last_pts = max(self._last_pts, pts)
            leading = self._start.take(number, pts, content, key=packet.is_keyframe)
            self._waiting[number] = _Waiting(pts, leading, repetition=content is Content.REPETITION)
            self._begun += 1
            self.frames += 1
        if content is not Content.NOTHING:
            packet.opaque = _Mark(number)
        if self._reread_end:
            self._remember(number, packet)

    def finish(self) -> Iterator[DecodedFrame | MissingFrame]:
        """Ends the stream: yields the frames that the decoder still holds, and reports all others missing."""
        for frame in _decode(self._context, None):
            yield from self._account(frame)
        if self._waiting and self._reread_end:
            for frame in self._second_reading():
                yield from self._account(frame)
        yield from self._give_up(list(self._waiting))

    def _remember(self, number: int, packet: Packet[VideoStream]) -> None:
        """Keeps the packets from the last keyframe on that the oldest waiting frame depends on."""
        self._tail.append((number, packet))
        if packet.is_keyframe:
            self._keys.append(number)
        oldest = next(iter(self._waiting), number)
        while len(self._keys) > 1 and self._keys[1] <= oldest:
            self._keys.popleft()
        while self._keys and self._tail[0][0] < self._keys[0]:
            self._tail.popleft()

    def _account(self, frame: VideoFrame) -> Iterator[DecodedFrame | MissingFrame]:
        number = _number(frame)
        known = number in self._waiting
        if known:
            yield from self._give_up([n for n in self._waiting if self._is_overdue(n, number, frame.pts)])
            self._start.show(number)
            del self._waiting[number]
        else:
            self.frames += 1
        yield DecodedFrame(number if known else None, self._time(frame.pts), frame)

    def _is_overdue(self, number: int, shown: int, shown_pts: int | None) -> bool:
        """Whether a waiting frame was sent before the one now shown, and should have been shown before it too."""
        if number == shown:
            return False
        pts = self._waiting[number].pts
        if pts is None or shown_pts is None or not (self._reordered or self._context.has_b_frames == 0):
            return number < shown - _REORDER_MAX
        return number < shown and pts < shown_pts

    def _give_up(self, numbers: list[int]) -> Iterator[MissingFrame]:
        for number in numbers:
            waiting = self._waiting.pop(number)
            if waiting.repetition:  # the frame before it was meant, which a player goes on showing
                self.frames -= 1
                self._time(waiting.pts)
                continue
            reason = BEFORE_KEYFRAME if waiting.leading or self._start.precedes_keyframe(number) else DECODE
            yield MissingFrame(number, self._time(waiting.pts), reason)

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
    """A frame that a packet began and that has not been decoded yet."""

    pts: int | None
    leading: bool
    """Whether the frame needs frames from before the keyframe with which the stream begins."""
    repetition: bool
    """Whether the packet may only say that the frame before it is shown again."""


class _Start:
    """How a stream begins: a recording that was cut, or is joined while it runs, may begin between two keyframes."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int | None]] = []
        """Number and presentation time of the first two keyframes."""
        self._b_frames = False
        """Whether all frames since the first keyframe are B-frames, which then follow it only in decoding order."""
        self._shown = False
        """Whether a frame that precedes the first keyframe was decoded all the same."""
        self._damaged = False
        """Whether a frame before the first keyframe is damaged, as a keyframe may be."""

    def take(self, number: int, pts: int | None, content: Content, *, key: bool) -> bool:
        """Takes a frame in decoding order; returns whether it is shown before the first keyframe but follows it."""
        leading = content is Content.LEADING
        self._damaged = self._damaged or (not self._keys and content is Content.DAMAGED)
        if key and len(self._keys) < 2:
            self._keys.append((number, pts))
            self._b_frames = len(self._keys) == 1
        elif len(self._keys) == 1:
            key_pts = self._keys[0][1]
            self._b_frames = self._b_frames and content is Content.B_FRAME
            known = pts is not None and key_pts is not None
            leading = leading or (pts < key_pts if known else self._b_frames)  # type: ignore[operator]
        return leading

    def show(self, number: int) -> None:
        """Takes a frame that was decoded."""
        self._shown = self._shown or not self._keys or number < self._keys[0][0]

    def precedes_keyframe(self, number: int) -> bool:
        """Returns whether a frame is missing because it was sent before the first keyframe."""
        before = number < self._keys[0][0] if self._keys else not self._shown
        return before and not self._damaged


def _number(frame: VideoFrame) -> int:
    return frame.opaque.number if isinstance(frame.opaque, _Mark) else -1


def _decode(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return context.decode(packet)
    except (av.FFmpegError, EOFError) as error:  # its frame stays among the waiting, and is reported missing
        _log.debug("undecodable packet: %s", error)
        return []
