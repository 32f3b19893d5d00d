"""Reads the rows of one array straight from its files.

zarr can read every store, and tests compare this module with zarr. But zarr takes milliseconds to open an array, and a
frame is spread over eleven of them; here a frame takes a few reads of a few kilobytes. Only the encodings that roadmask
writes are supported: little-endian bytes, zstd and crc32c, in plain chunks or in shards, divided along the first
axis (specification: https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html, sharding-indexed: .../v3/codecs).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

from roadmask.engines.errors import StoreCorruptError
from roadmask.streaming.store.layout import METADATA

_CRC_BYTES = 4
SHARD_INDEX = np.dtype("<u8")
"""Type of the index of a shard, which holds offset and length of each chunk, then a crc32c."""
NO_CHUNK = np.uint64(2**64 - 1)
"""Entry of the index for a chunk that was never written."""


@dataclass(frozen=True)
class StoredArray:
    """An array of an epoch: how it is divided into files, and how rows are read from them."""

    folder: Path
    """Folder of the array."""
    shape: tuple[int, ...]
    """Shape of the array."""
    dtype: np.dtype[Any]
    """Type of its values, little-endian."""
    file_rows: int
    """Number of rows in one file."""
    chunk_rows: int
    """Number of rows that are compressed together; below `file_rows` in a shard."""
    compressed: bool
    """Whether chunks are zstd frames."""
    checked: bool
    """Whether chunks end with their crc32c."""
    separator: str
    """Separator between the parts of a file name."""

    @classmethod
    def open(cls, folder: Path) -> StoredArray:
        """Reads the metadata of the array in a folder.

        Raises:
            StoreCorruptError: the metadata are missing or are not those of an array of roadmask.
        """
        path = folder / METADATA
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreCorruptError(f"cannot open {path}: {error}.") from error
        try:
            return cls._from_metadata(folder, described)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise StoreCorruptError(
                f"{path}: expected a Zarr v3 array of bytes, zstd and crc32c as roadmask writes it: {error!r}. Restore "
                f"it from a copy; an array that other software wrote can be read by zarr itself."
            ) from error

    @classmethod
    def _from_metadata(cls, folder: Path, described: dict[str, Any]) -> StoredArray:
        if described["zarr_format"] != 3 or described["node_type"] != "array":
            raise ValueError("not a Zarr v3 array")
        shape = tuple(int(size) for size in described["shape"])
        dtype = np.dtype(described["data_type"]).newbyteorder("<")
        _require("chunk_grid", described["chunk_grid"]["name"], "regular")
        file_rows, *file_tail = described["chunk_grid"]["configuration"]["chunk_shape"]
        chunk_rows, codecs = file_rows, described["codecs"]
        if codecs[0]["name"] == "sharding_indexed":
            sharding = codecs[0]["configuration"]
            chunk_rows, *chunk_tail = sharding["chunk_shape"]
            codecs = sharding["codecs"]
            _require("chunks in shards", chunk_tail, file_tail)
            _require("the shard's index", [codec["name"] for codec in sharding["index_codecs"]], ["bytes", "crc32c"])
            _require("its place", sharding.get("index_location", "end"), "end")
        names = [codec["name"] for codec in codecs]
        if names not in (["bytes"], ["bytes", "zstd"], ["bytes", "crc32c"], ["bytes", "zstd", "crc32c"]):
            raise ValueError(f"codecs {names}")
        _require("byte order", codecs[0].get("configuration", {}).get("endian", "little"), "little")
        _require("chunks", tuple(file_tail), shape[1:])
        if min(shape) < 0 or chunk_rows < 1 or file_rows % chunk_rows:
            raise ValueError(f"shape {shape} in files of {file_rows} and chunks of {chunk_rows} rows")
        separator = described["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
        return cls(folder, shape, dtype, file_rows, chunk_rows, "zstd" in names, "crc32c" in names, separator)

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a row before compression."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def file(self, number: int) -> Path:
        """Returns the n-th file, which holds rows n * file_rows to (n + 1) * file_rows."""
        return self.folder / self.separator.join(["c", str(number), *("0" for _ in self.shape[1:])])

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], int]:
        """Reads rows start to stop, which must lie within the array.

        A file is opened once for everything that is read from it. A writer replaces whole files, so the result is
        consistent even while the array is being written.

        Returns:
            The rows, and the number of bytes of chunks and indices that were read.

        Raises:
            StoreCorruptError: a file or chunk is missing or broken.
        """
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        size = 0
        for number in range(start // self.file_rows, -(-stop // self.file_rows)):
            with self._opened(number) as handle:
                size += self._read_file(handle, number * self.file_rows, start, rows)
        return rows, size

    def chunks(self, number: int, count: int) -> list[bytes]:
        """Reads the first chunks of a file without decompressing them.

        Raises:
            StoreCorruptError: the file is missing or broken.
        """
        with self._opened(number) as handle:
            return [_read_exactly(handle, offset, length) for offset, length in self._extents(handle, 0, count)[0]]

    @contextmanager
    def _opened(self, number: int) -> Iterator[int]:
        path = self.file(number)
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError as error:
            what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise StoreCorruptError(f"{path} {what}: restore it from a copy.") from error
        try:
            if not os.fstat(handle).st_size:
                raise StoreCorruptError(f"{path} is empty: restore it from a copy.")
            yield handle
        except (OSError, ValueError, zstandard.ZstdError) as error:
            raise StoreCorruptError(
                f"cannot read {path}: {error}. `roadmask check` names the files that are broken."
            ) from error
        finally:
            os.close(handle)

    def _read_file(self, handle: int, file_start: int, start: int, rows: NDArray[Any]) -> int:
        """Fills the rows (which begin at `start`) that lie in a file; returns the number of bytes read."""
        first = max(start - file_start, 0) // self.chunk_rows
        last = -(-min(start + len(rows) - file_start, self.file_rows) // self.chunk_rows)
        extents, size = self._extents(handle, first, last)
        for number, (offset, length) in enumerate(extents, first):
            chunk_start = file_start + number * self.chunk_rows
            data = _read_exactly(handle, offset, length)
            size += length
            a, b = max(chunk_start, start), min(chunk_start + self.chunk_rows, start + len(rows))
            if b - a == self.chunk_rows:
                self._decode(data, rows[a - start : b - start])
            else:
                rows[a - start : b - start] = self._decode(data)[a - chunk_start : b - chunk_start]
        return size

    def _extents(self, handle: int, first: int, last: int) -> tuple[list[tuple[int, int]], int]:
        """Returns (offset, length) of chunks first to last of a file, and the number of bytes read to find them."""
        file_bytes = os.fstat(handle).st_size
        if self.chunk_rows == self.file_rows:
            return [(0, file_bytes)], 0
        chunks = self.file_rows // self.chunk_rows
        index_bytes = chunks * 2 * SHARD_INDEX.itemsize + _CRC_BYTES
        if file_bytes < index_bytes:
            raise ValueError(f"expected at least the {index_bytes} bytes of its index, got {file_bytes}")
        index = np.frombuffer(_checked(_read_exactly(handle, file_bytes - index_bytes, index_bytes)), SHARD_INDEX)
        extents = [(int(offset), int(length)) for offset, length in index.reshape(chunks, 2)[first:last]]
        for number, (offset, length) in enumerate(extents, first):
            if offset == NO_CHUNK:
                raise ValueError(f"chunk {number} is missing from it")
            if offset + length > file_bytes - index_bytes:
                raise ValueError(f"chunk {number} lies beyond its end")
        return extents, index_bytes

    def _decode(self, data: bytes, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        """Returns the rows of a chunk; given rows, of the chunk's shape, are filled instead, without a copy.

        A chunk that declares another size is refused before it is decompressed, and before memory is taken for it.
        """
        data = _checked(data) if self.checked else data
        expected = self.chunk_rows * self.row_bytes
        size = zstandard.get_frame_parameters(data).content_size if self.compressed else len(data)
        if size == expected:
            rows = np.empty((self.chunk_rows, *self.shape[1:]), self.dtype) if rows is None else rows
            target = rows.reshape(-1).view(np.uint8)
            if self.compressed:
                size = zstandard.ZstdDecompressor().stream_reader(data).readinto(target)
            else:
                target[:] = np.frombuffer(data, np.uint8)
        if rows is None or size != expected:
            raise ValueError(f"expected a chunk of {expected} bytes, got {size}")
        return rows


def _require(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise ValueError(f"{what}: expected {expected}, got {found}")


def _read_exactly(handle: int, offset: int, length: int) -> bytes:
    data = os.pread(handle, length, offset)
    if len(data) != length:
        raise ValueError(f"expected {length} bytes at {offset}, got {len(data)}")
    return data


def _checked(data: bytes) -> bytes:
    """Returns data without the checksum at its end."""
    body = data[:-_CRC_BYTES]
    found, expected = google_crc32c.value(body), int.from_bytes(data[-_CRC_BYTES:], "little")
    if len(data) < _CRC_BYTES or found != expected:
        raise ValueError(f"expected the checksum {expected:08x}, got {found:08x}")
    return body
