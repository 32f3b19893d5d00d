"""CDR, the serialization of ROS 2 and DDS: XCDR version 1, little endian, as every ROS 2 distribution writes it.

Numbers are aligned to their size, counted from behind the four bytes that name the encapsulation (OMG DDS-XTypes 1.3,
section 7.4.1). Strings have a length that includes their final zero; sequences have a count.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError

HEADER = b"\0\1\0\0"
"""Encapsulation: plain CDR, little endian, no options."""
_PADDING = [b"\0" * count for count in range(8)]
_LENGTH = struct.Struct("<I")
T = TypeVar("T")


class MessageFormatError(InputError):
    """Bytes are not the message that was expected."""


@cache
def layout(codes: str) -> tuple[struct.Struct, int]:
    """Returns numbers in a row as a struct with CDR's padding, and the alignment of the first of them.

    Args:
        codes: codes of `struct`, such as `QQHBBBf`. The first number has the largest alignment of all, so that the
            padding is the same wherever the row begins.
    """
    sizes = [struct.calcsize(f"<{code}") for code in codes]
    if max(sizes) > sizes[0]:
        raise ValueError(f"expected the largest number first, got {codes}")
    at, padded = 0, "<"
    for code, size in zip(codes, sizes, strict=True):
        gap = -at % size
        padded += "x" * gap + code
        at += gap + size
    return struct.Struct(padded), sizes[0]


class CdrWriter:
    """Writes a message front to back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def numbers(self, codes: str, *values: float) -> None:
        """Writes numbers in a row; see `layout`."""
        packed, alignment = layout(codes)
        gap = -self._size % alignment
        if gap:
            self._parts.append(_PADDING[gap])
        self._parts.append(packed.pack(*values))
        self._size += gap + packed.size

    def text(self, text: str) -> None:
        """Writes a string."""
        self.octets(text.encode() + b"\0")

    def octets(self, data: bytes) -> None:
        """Writes a sequence of bytes."""
        gap = -self._size % 4
        self._parts += (_PADDING[gap], _LENGTH.pack(len(data)), data)
        self._size += gap + 4 + len(data)

    def doubles(self, values: NDArray[np.float64]) -> None:
        """Writes float64 numbers in a row."""
        if values.size:
            data = np.ascontiguousarray(values, "<f8").tobytes()
            gap = -self._size % 8
            self._parts += (_PADDING[gap], data)
            self._size += gap + len(data)

    def finish(self) -> bytes:
        """Returns the message with its encapsulation."""
        return HEADER + b"".join(self._parts)


class CdrReader:
    """Reads a message front to back and checks every length against what is left.

    Raises:
        MessageFormatError: the encapsulation is not plain CDR, little endian. Every method raises it where the message
            ends too early.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        if len(data) < 4 or bytes(data[:2]) != HEADER[:2]:
            raise MessageFormatError(
                f"expected a CDR message (little endian, 00 01 ...), got {bytes(data[:4]).hex(' ') or 'no bytes'}: "
                "pass the serialized message with its four bytes of encapsulation."
            )
        self._data = memoryview(data)[4:]
        self._at = 0

    @property
    def left(self) -> int:
        """Number of bytes that were not read."""
        return len(self._data) - self._at

    def numbers(self, codes: str) -> tuple[int | float, ...]:
        """Reads numbers in a row; see `layout`."""
        packed, alignment = layout(codes)
        start = self._at + -self._at % alignment
        self._require(start + packed.size, "numbers")
        self._at = start + packed.size
        return packed.unpack_from(self._data, start)

    def text(self) -> str:
        """Reads a string."""
        data = self.octets()
        if not data.endswith(b"\0"):
            raise MessageFormatError("expected a string that ends with a zero: the message is damaged.")
        try:
            return data[:-1].decode()
        except UnicodeDecodeError as error:
            raise MessageFormatError(f"expected a string in UTF-8, got {data[:40]!r}: it is damaged.") from error

    def octets(self) -> bytes:
        """Reads a sequence of bytes."""
        (length,) = self.numbers("I")
        stop = self._at + int(length)
        self._require(stop, "bytes")
        data, self._at = self._data[self._at : stop], stop
        return bytes(data)

    def sequence(self, read: Callable[[], T], bytes_min: int) -> list[T]:
        """Reads a sequence.

        Args:
            read: reads one element.
            bytes_min: number of bytes that an element has at least: a damaged count must not fill the memory.
        """
        (count,) = self.numbers("I")
        if count * bytes_min > self.left:
            raise MessageFormatError(
                f"expected at most {self.left // bytes_min} elements in the {self.left} bytes that are left, got a "
                f"count of {count}: the message is damaged."
            )
        return [read() for _ in range(int(count))]

    def end(self) -> None:
        """Checks that nothing but padding to four bytes is left."""
        if self.left > 3:
            raise MessageFormatError(
                f"expected the end of the message, got {self.left} more bytes: it is of another type."
            )

    def _require(self, stop: int, what: str) -> None:
        if stop > len(self._data):
            raise MessageFormatError(
                f"expected {stop - self._at} more bytes of {what}, got {self.left}: the message was cut off or damaged."
            )
