"""Reads MCAP files front to back, so that a file without an index, or one that was cut, gives what is whole.

The layout is that of mcap.dev/spec: a magic number, then records of one byte opcode, eight bytes length and content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema
from mcap.stream_reader import get_chunk_data_stream

from roadmask.streaming.sources.bags.raw import DamagedBagError, RawMessage, Serialization, plain_type

MAGIC = b"\x89MCAP0\r\n"
_HEADER = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_SERIALIZATIONS: dict[str, Serialization] = {"cdr": "cdr", "ros1": "ros1", "protobuf": "protobuf", "json": "json"}
_CHUNK_HEADER = 8 + 8 + 8 + 4
"""Bytes of a chunk before the name of its compression: start time, end time, uncompressed size and CRC."""


class _Topics:
    """The schemas and channels that were read so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str, Serialization]] = {}

    def take(self, opcode: int, content: bytes) -> RawMessage | None:
        """Takes a record; returns its message if it is one."""
        if opcode == Opcode.MESSAGE:
            channel, _, log_ns, _ = _MESSAGE.unpack_from(content)
            if channel not in self._channels:
                return None
            topic, kind, serialization = self._channels[channel]
            return RawMessage(topic, kind, serialization, log_ns, content[_MESSAGE.size :])
        stream = ReadDataStream(BytesIO(content))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self._schemas[schema.id] = plain_type(schema.name)
        elif opcode == Opcode.CHANNEL:
            channel_record = Channel.read(stream)
            self._channels[channel_record.id] = (
                channel_record.topic,
                self._schemas.get(channel_record.schema_id, ""),
                _SERIALIZATIONS.get(channel_record.message_encoding, "other"),
            )
        return None


def read_mcap(path: Path, problems: list[str]) -> Iterator[RawMessage]:
    """Yields the messages of an MCAP file in the order of the file.

    A damaged chunk is left out, and what follows a cut is missing; both are appended to `problems` as sentences.

    Raises:
        DamagedBagError: the file is no MCAP file.
        OSError: the file cannot be read.
    """
    topics = _Topics()
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DamagedBagError("it does not begin like an MCAP file")
        try:
            for opcode, content, whole in _records(file):
                if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    return
                if opcode == Opcode.CHUNK:
                    yield from _chunk(topics, content, whole, problems)
                elif whole:
                    message = _taken(topics, opcode, content, problems)
                    if message is not None:
                        yield message
                if not whole:
                    break
        except MemoryError:
            problems.append("a record states more bytes than fit into memory")
            return
        problems.append("it was cut off: its end is missing, as after a loss of power")


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yields opcode and content of each record, and whether the file holds all of it."""
    at = file.tell()
    size = file.seek(0, 2)
    file.seek(at)
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        opcode, length = _HEADER.unpack(header)
        left = size - at - _HEADER.size
        yield opcode, file.read(min(length, left)), length <= left  # a damaged length must not fill the memory
        at += _HEADER.size + length


def _chunk(topics: _Topics, content: bytes, whole: bool, problems: list[str]) -> Iterator[RawMessage]:
    if whole:
        try:
            stream, size = get_chunk_data_stream(Chunk.read(ReadDataStream(BytesIO(content))), validate_crc=True)
            data = stream.read(size)
        except Exception as error:  # each decompressor has errors of its own
            problems.append(f"a chunk of {len(content)} bytes is damaged ({error}), its messages are missing")
            return
    else:
        data = _beginning(content)
    inside = BytesIO(data)
    for opcode, record, complete in _records(inside):
        if not complete:
            return
        message = _taken(topics, opcode, record, problems)
        if message is not None:
            yield message


def _taken(topics: _Topics, opcode: int, content: bytes, problems: list[str]) -> RawMessage | None:
    try:
        return topics.take(opcode, content)
    except (struct.error, McapError, UnicodeDecodeError, ValueError, EOFError) as error:
        problems.append(f"a record is damaged ({error})")
        return None


def _beginning(content: bytes) -> bytes:
    """Returns what can be decompressed of a chunk that was cut."""
    if len(content) < _CHUNK_HEADER + 4:
        return b""
    (length,) = struct.unpack_from("<I", content, _CHUNK_HEADER)
    compression = content[_CHUNK_HEADER + 4 : _CHUNK_HEADER + 4 + length]
    data = content[_CHUNK_HEADER + 4 + length + 8 :]
    if compression == b"":
        return data
    try:
        if compression == b"zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        if compression == b"lz4":
            from lz4.frame import LZ4FrameDecompressor  # noqa: PLC0415 - only for cut chunks

            return bytes(LZ4FrameDecompressor().decompress(data))
    except (zstandard.ZstdError, RuntimeError, EOFError):
        pass
    return b""
