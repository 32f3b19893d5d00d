"""What a packet holds, by its own headers: a frame, half of one, or none that is ever shown.

Decoders do not say why a packet gave no frame. Cameras write packets that never give one: the second field of an
interlaced frame, a hidden reference of VP8, parameters alone. Headers tell them apart from a frame that is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

_SLICE_BYTES = 64
"""Bytes of a slice that hold the part of its header that is read here."""
_NOT_CODED_BYTES = 19
"""Largest packet of MPEG-4 whose frame may not be coded (FFmpeg's MAX_NVOP_SIZE)."""
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles of H.264 whose parameters state a chroma format (ITU-T H.264, 7.3.2.1.1)."""


class Content(Enum):
    """What a packet holds."""

    FRAME = "frame"
    """A frame, or the first field of one."""
    B_FRAME = "B-frame"
    """A frame, or the first field of one, that is coded with reference to frames before and after it."""
    SECOND_FIELD = "second field"
    """The other field of the frame that the packet before began."""
    LEADING = "leading"
    """A frame that is shown before the keyframe with which the stream begins and needs frames from before it: decoders
    skip it."""
    REPETITION = "repetition"
    """A frame, or a marker that the frame before is shown again: the two look alike."""
    NOTHING = "nothing"
    """Nothing that is ever shown."""
    DAMAGED = "damaged"
    """Data without a readable header, where a frame was."""


class PacketReader:
    """Reads what each packet of a stream holds. Packets of other codecs than those below always hold a frame.

    Args:
        codec: FFmpeg's name of the codec.
        extradata: parameters that the container states; None if it states none.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._read: Callable[[bytes], Content] | None = _HEADERS.get(codec)
        if codec in {"h264", "hevc"}:
            self._read = (_H264 if codec == "h264" else _Hevc)(extradata or b"").read

    @property
    def reads(self) -> bool:
        """Whether the headers of the codec are known."""
        return self._read is not None

    def read(self, data: bytes) -> Content:
        """Returns what the next packet holds."""
        try:
            return Content.FRAME if self._read is None else self._read(data)
        except (IndexError, ValueError):
            return Content.DAMAGED


@dataclass(frozen=True)
class _Field:
    """One field of an interlaced frame of H.264."""

    frame_num: int
    bottom: bool


@dataclass(frozen=True)
class _Parameters:
    """What the header of a slice depends on (ITU-T H.264, 7.3.2.1.1)."""

    frame_num_bits: int
    colour_planes: bool
    frames_only: bool


class _H264:
    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = _length_bytes(extradata, 4)
        self._sequences: dict[int, _Parameters] = {}
        self._sequence_of: dict[int, int] = {}
        self._first: _Field | None = None
        """The field that waits for its other one."""
        with suppress(IndexError, ValueError):  # a packet may bring better ones
            for unit in _avcc_units(extradata) if self._length_bytes else _units(extradata, 0):
                self._note(unit)

    def read(self, data: bytes) -> Content:
        content, units = Content.NOTHING, 0
        fields: list[_Field] = []
        for unit in _units(data, self._length_bytes):
            units += 1
            kind = unit[0] & 31
            if kind in {1, 5}:  # slices of a frame or field
                bits = _Bits(unit[1:_SLICE_BYTES])
                bits.golomb()
                content = Content.B_FRAME if bits.golomb() % 5 == 1 else Content.FRAME
                field = self._field(bits)
                if field is None:
                    break
                if field not in fields:
                    fields.append(field)
            elif 1 < kind < 5:
                content = Content.FRAME
            else:
                self._note(unit)
        if not units:
            return Content.DAMAGED
        if content is Content.NOTHING:
            return content
        first, self._first = self._first, None
        if len(fields) == 1:
            (field,) = fields
            if first is not None and first.frame_num == field.frame_num and first.bottom != field.bottom:
                return Content.SECOND_FIELD
            self._first = field
        return content

    def _note(self, unit: bytes) -> None:
        kind = unit[0] & 31
        if kind == 7:
            bits = _Bits(unit[1:])
            number, parameters = _sequence_parameters(bits)
            self._sequences[number] = parameters
        elif kind == 8:
            bits = _Bits(unit[1:_SLICE_BYTES])
            number = bits.golomb()
            self._sequence_of[number] = bits.golomb()

    def _field(self, bits: _Bits) -> _Field | None:
        """Returns which field a slice belongs to, from its parameter set on; None if it belongs to a whole frame."""
        parameters = self._sequences.get(self._sequence_of.get(bits.golomb(), -1))
        if parameters is None or parameters.frames_only:
            return None
        if parameters.colour_planes:
            bits.take(2)
        frame_num = bits.take(parameters.frame_num_bits)
        return _Field(frame_num, bool(bits.take(1))) if bits.take(1) else None


class _Hevc:
    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = _length_bytes(extradata, 21)
        self._begins = True
        """Whether no keyframe came since the stream, or a part of it, began."""
        self._skips = True
        """Whether decoders skip the leading frames of the newest keyframe that need others."""

    def read(self, data: bytes) -> Content:
        content, units = Content.NOTHING, 0
        for unit in _units(data, self._length_bytes):
            units += 1
            kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
            if kind in {36, 37}:  # end of the sequence, of the bitstream
                self._begins = True
            if kind >= 32 or layer or content is not Content.NOTHING:
                continue
            content = Content.FRAME
            if 16 <= kind <= 23:  # a keyframe: BLA, IDR or CRA
                self._skips = self._begins or kind < 21
                self._begins = False
            elif kind in {8, 9} and self._skips:  # RASL: random access skipped leading
                content = Content.LEADING
        return content if units else Content.DAMAGED


def _vp8(data: bytes) -> Content:
    return Content.FRAME if data[0] >> 4 & 1 else Content.NOTHING  # RFC 6386, 9.1: show_frame


def _vp9(data: bytes) -> Content:
    """Reads the uncompressed header (VP9 bitstream specification, 6.2); a superframe holds one shown frame."""
    if data[-1] >> 5 == 0b110:
        return Content.FRAME
    bits = _Bits(data[:2])
    if bits.take(2) != 0b10:
        return Content.FRAME
    low, high = bits.take(1), bits.take(1)
    if low and high:
        bits.take(1)
    if bits.take(1):  # show_existing_frame
        return Content.FRAME
    bits.take(1)
    return Content.FRAME if bits.take(1) else Content.NOTHING


def _mpeg4(data: bytes) -> Content:
    """Reads the coding type (ISO/IEC 14496-2, 6.2.5); a short packet may say that its frame is not coded."""
    at = data.find(b"\0\0\1\xb6")
    if at == 0 and len(data) <= _NOT_CODED_BYTES:
        return Content.REPETITION
    return Content.B_FRAME if at >= 0 and data[at + 4] >> 6 == 2 else Content.FRAME


def _mpeg2(data: bytes) -> Content:
    """Reads the coding type (ISO/IEC 13818-2, 6.2.3)."""
    at = data.find(b"\0\0\1\0")
    if at < 0:
        return Content.DAMAGED
    return Content.B_FRAME if data[at + 5] >> 3 & 7 == 3 else Content.FRAME


_HEADERS = {"vp8": _vp8, "vp9": _vp9, "mpeg4": _mpeg4, "mpeg1video": _mpeg2, "mpeg2video": _mpeg2}


class _Bits:
    """Reads bits and Exp-Golomb codes of a NAL unit, without the bytes that keep start codes out of it."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(plain)
        self._left = 8 * len(plain)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header ends early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_scaling_list(self, size: int) -> None:
        last = following = 8
        for _ in range(size):
            if following:
                code = self.golomb()
                following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
            last = following or last


def _sequence_parameters(bits: _Bits) -> tuple[int, _Parameters]:
    profile, _ = bits.take(8), bits.take(16)
    number, colour_planes = bits.golomb(), False
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb()
        colour_planes = chroma == 3 and bool(bits.take(1))
        bits.golomb()
        bits.golomb()
        bits.take(1)
        if bits.take(1):
            for position in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    bits.skip_scaling_list(16 if position < 6 else 64)
    frame_num_bits = bits.golomb() + 4
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()
    bits.take(1)
    bits.golomb()
    bits.golomb()
    return number, _Parameters(frame_num_bits, colour_planes, bool(bits.take(1)))


def _length_bytes(extradata: bytes, position: int) -> int:
    """Returns how many bytes state the length of a NAL unit, as in MP4; 0 where start codes separate them."""
    return (extradata[position] & 3) + 1 if len(extradata) > position and extradata[0] == 1 else 0


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """Yields the NAL units of a packet."""
    if length_bytes:
        at = 0
        while at + length_bytes < len(data):
            start = at + length_bytes
            at = start + int.from_bytes(data[at:start])
            if at > len(data) or at == start:
                return
            yield data[start:at]
        return
    start = data.find(b"\0\0\1")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)]
        if len(unit) > 1:
            yield unit
        start = end


def _avcc_units(extradata: bytes) -> Iterator[bytes]:
    """Yields the parameters in an MP4's description of H.264 (ISO/IEC 14496-15, 5.3.3.1)."""
    at = 5
    for mask in (31, 255):  # sequence parameter sets, then picture parameter sets
        count, at = extradata[at] & mask, at + 1
        for _ in range(count):
            start = at + 2
            at = start + int.from_bytes(extradata[at:start])
            yield extradata[start:at]
