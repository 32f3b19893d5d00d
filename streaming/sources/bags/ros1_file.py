"""Reads ROS 1 bags front to back, so that one without an index, or one that was cut, gives what is whole.

The layout is that of wiki.ros.org/Bags/Format/2.0: a line, then records of a header with named fields and content.
"""

from __future__ import annotations

import bz2
import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from roadmask.streaming.sources.bags.raw import DamagedBagError, RawMessage, plain_type

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_CUT = "it was cut off: its end is missing, as after a loss of power"
_Topics = dict[int, tuple[str, str]]


def read_ros1(path: Path, problems: list[str]) -> Iterator[RawMessage]:
    """Yields the messages of a ROS 1 bag in the order of the file.

    A damaged chunk is left out, and what follows a cut is missing; both are appended to `problems` as sentences.

    Raises:
        DamagedBagError: the file is no ROS 1 bag of version 2.0.
        OSError: the file cannot be read.
    """
    topics: _Topics = {}
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DamagedBagError("it does not begin like a ROS 1 bag of version 2.0")
        index_at: int | None = None
        try:
            while index_at is None or file.tell() < index_at:
                start = file.tell()
                header = _fields(_sized(file))
                content, missing = _sized_or_less(file)
                operation = _number(header, b"op", 1)
                if operation == 3 and start == len(MAGIC):  # the first record states where the index begins
                    index_at = _number(header, b"index_pos", 8) or None
                elif operation == _CHUNK:
                    yield from _chunk(header, content, topics, problems, cut=missing > 0)
                elif not missing and (message := _taken(operation, header, content, topics)) is not None:
                    yield message
                if missing:
                    problems.append(_CUT)
                    return
        except EOFError:
            if index_at is not None:
                problems.append(_CUT)
            else:
                problems.append("it has no index: the recorder was ended before it wrote one")
        except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
            problems.append(f"it is damaged: reading ends early ({error!r})")


def _chunk(
    header: dict[bytes, bytes], content: bytes, topics: _Topics, problems: list[str], *, cut: bool
) -> Iterator[RawMessage]:
    try:
        data = BytesIO(_decompressed(header.get(b"compression", b"none"), content))
    except Exception as error:  # each decompressor has errors of its own
        problems.append(f"a chunk of {len(content)} bytes is damaged ({error}), its messages are missing")
        return
    size = len(data.getbuffer())
    while data.tell() < size:
        try:
            inner, inside = _record(data)
            message = _taken(_number(inner, b"op", 1), inner, inside, topics)
        except (EOFError, struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
            if cut:
                return
            problems.append(f"a record in a chunk is damaged ({error!r})")
            return
        if message is not None:
            yield message


def _taken(operation: int, header: dict[bytes, bytes], content: bytes, topics: _Topics) -> RawMessage | None:
    if operation == _CONNECTION:
        described = _fields(content)
        topics[_number(header, b"conn", 4)] = (header[b"topic"].decode(), plain_type(described[b"type"].decode()))
    elif operation == _MESSAGE:
        known = topics.get(_number(header, b"conn", 4))
        if known is not None:
            seconds, nanoseconds = struct.unpack("<II", header[b"time"])
            return RawMessage(*known, "ros1", seconds * 1_000_000_000 + nanoseconds, content)
    return None


def _record(file: BinaryIO) -> tuple[dict[bytes, bytes], bytes]:
    return _fields(_sized(file)), _sized(file)


def _sized(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<I", _exactly(file, 4))
    return _exactly(file, length)


def _sized_or_less(file: BinaryIO) -> tuple[bytes, int]:
    """Returns the content of a record, and how many bytes of it are missing."""
    (length,) = struct.unpack("<I", _exactly(file, 4))
    data = file.read(min(length, _left(file)))
    return data, length - len(data)


def _exactly(file: BinaryIO, size: int) -> bytes:
    if size > 4 and size > _left(file):  # a damaged length must not fill the memory
        raise EOFError(f"expected {size} bytes, got {_left(file)}")
    data = file.read(size)
    if len(data) < size:
        raise EOFError(f"expected {size} bytes, got {len(data)}")
    return data


def _left(file: BinaryIO) -> int:
    if isinstance(file, BytesIO):
        return len(file.getbuffer()) - file.tell()
    return os.fstat(file.fileno()).st_size - file.tell()


def _fields(data: bytes) -> dict[bytes, bytes]:
    fields, at = {}, 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        name, equals, value = data[at + 4 : at + 4 + length].partition(b"=")
        if not equals:
            raise ValueError("a field of a header has no value")
        fields[name] = value
        at += 4 + length
    return fields


def _number(header: dict[bytes, bytes], name: bytes, size: int) -> int:
    value = header[name]
    if len(value) != size:
        raise ValueError(f"expected {size} bytes for {name.decode()}, got {len(value)}")
    return int.from_bytes(value, "little")


def _decompressed(compression: bytes, content: bytes) -> bytes:
    """Returns the content of a chunk; of one that was cut, its beginning."""
    if compression == b"none":
        return content
    if compression == b"bz2":
        return bz2.BZ2Decompressor().decompress(content)
    if compression == b"lz4":
        from lz4.frame import LZ4FrameDecompressor  # noqa: PLC0415 - only for such chunks

        return bytes(LZ4FrameDecompressor().decompress(content))
    raise ValueError(f"unknown compression {compression!r}")
