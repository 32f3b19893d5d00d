"""Whether the end of a file is missing, by the sizes that its container states.

A copy that was interrupted and a camera that lost power leave the beginning of a file. Frames do not tell: sound may
last longer than they do, and an edit list hides some of them.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_TOLERANCE_BYTES = 16
"""Some cameras state a few bytes too many."""
_MP4_DATA = frozenset({b"mdat", b"moof", b"moov"})
_SEGMENT, _EBML = b"\x18\x53\x80\x67", b"\x1a\x45\xdf\xa3"
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_HEAD_BYTES = 65536


def bytes_stated(path: Path, container: str) -> int | None:
    """Returns how many bytes a file should have, if it has fewer; None if nothing is missing or nobody can know.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
    """
    readers = {"mp4": _mp4, "avi": _avi, "matroska": _matroska, "asf": _asf}
    read = next((reader for name, reader in readers.items() if name in container), None)
    if read is None:
        return None
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            stated = read(file, size)
        except (struct.error, IndexError):
            return None
    return stated if stated is not None and stated > size + _TOLERANCE_BYTES else None


def _mp4(file: BinaryIO, size: int) -> int | None:
    """Walks the boxes (ISO/IEC 14496-12, 4.2) to the one that ends beyond the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8:  # up to the end of the file, or no box
            return None
        if at + length > size:
            return at + length if kind in _MP4_DATA else None  # something else: what a camera has put at the end
        at += length
    return None


def _avi(file: BinaryIO, size: int) -> int | None:
    """Walks the RIFF chunks, of which there is one for each gigabyte (OpenDML AVI, 4.0)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or not 0 < length < 2**32 - 1:  # a recording that was not finished states no size
            return None
        at += 8 + length + length % 2
    return at


def _matroska(file: BinaryIO, _size: int) -> int | None:
    """Reads the size of the segment, which is all that follows the header (RFC 8794, 6)."""
    head = file.read(_HEAD_BYTES)
    if not head.startswith(_EBML):
        return None
    length, at = _ebml_size(head, 4)
    at += length or 0
    if head[at : at + 4] != _SEGMENT:
        return None
    length, at = _ebml_size(head, at + 4)
    return None if length is None else at + length


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """Returns a size, None if it is unknown, and where it ends (RFC 8794, 4)."""
    count = 9 - data[at].bit_length()
    end = at + count
    largest = (1 << 7 * count) - 1
    value = int.from_bytes(data[at:end]) & largest
    return None if value == largest else value, end


def _asf(file: BinaryIO, _size: int) -> int | None:
    """Reads the file's size in its properties, which does not hold where it is marked as a broadcast (ASF, 3.2)."""
    head = file.read(_HEAD_BYTES)
    at = head.find(_ASF_PROPERTIES)
    if at < 0:
        return None
    (stated,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    return None if flags & 1 else int(stated)
