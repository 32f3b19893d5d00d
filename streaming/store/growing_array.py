"""An array of an epoch that grows at its end, one commit at a time.

zarr creates the array and can read it at any moment, but does not append to it: it would read a shard back and compress
all of it again for each commit, whereas here each chunk is compressed once, when it is full.
"""

from __future__ import annotations

import json
from typing import Any

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

from roadmask.streaming.store.files import DurableStore
from roadmask.streaming.store.layout import METADATA
from roadmask.streaming.store.stored_array import NO_CHUNK, SHARD_INDEX, StoredArray


class GrowingArray:
    """Collects rows, and writes them as part of a commit.

    Memory: the compressed chunks of the file that is being filled, and the rows of the last, incomplete chunk.

    Args:
        store: the store of the drive.
        name: path of the array below the drive.
        rows: number of committed rows; rows after them are overwritten.
        level: zstd level.

    Raises:
        StoreCorruptError: the array, or what is in its last file, cannot be read back.
    """

    def __init__(self, store: DurableStore, name: str, rows: int, level: int) -> None:
        self._store = store
        self._name = name
        self._layout = layout = StoredArray.open(store.root / name)
        self._metadata = json.loads((layout.folder / METADATA).read_text(encoding="utf-8"))
        self._compressor = zstandard.ZstdCompressor(level=level)
        self._rows = self._written = rows
        number, inside = divmod(rows, layout.file_rows)
        chunks, self._open_rows = divmod(inside, layout.chunk_rows)
        self._files = {number: layout.chunks(number, chunks)} if chunks else {}
        """Complete chunks of each file that is not written in its final form, compressed."""
        self._open = [layout.read(rows - self._open_rows, rows)[0]] if self._open_rows else []
        """Rows of the last, incomplete chunk."""

    def append(self, rows: NDArray[Any]) -> None:
        """Appends rows; those that complete a chunk are compressed at once and may be changed afterwards."""
        size = self._layout.chunk_rows
        while len(rows) + self._open_rows >= size:
            fitting = size - self._open_rows
            chunk = np.concatenate([*self._open, rows[:fitting]]) if self._open else rows[:fitting]
            number = (self._rows + fitting - size) // self._layout.file_rows
            self._files.setdefault(number, []).append(self._encode(chunk))
            self._rows += fitting
            self._open, self._open_rows = [], 0
            rows = rows[fitting:]
        if len(rows):
            self._open.append(rows)
            self._open_rows += len(rows)
            self._rows += len(rows)

    def write(self) -> None:
        """Prepares the files that changed since the last commit, within an open commit; may be repeated."""
        if self._rows == self._written:
            return
        layout = self._layout
        for number in range(self._written // layout.file_rows, -(-self._rows // layout.file_rows)):
            chunks = list(self._files.get(number, ()))
            if self._open and number == (self._rows - 1) // layout.file_rows:
                padding = np.zeros((layout.chunk_rows - self._open_rows, *layout.shape[1:]), layout.dtype)
                chunks.append(self._encode(np.concatenate([*self._open, padding])))
            data = chunks[0] if layout.chunk_rows == layout.file_rows else self._shard(chunks)
            self._store.write_file(f"{self._name}/{layout.file(number).relative_to(layout.folder)}", data)
        self._metadata["shape"] = [self._rows, *layout.shape[1:]]
        self._store.write_file(f"{self._name}/{METADATA}", json.dumps(self._metadata, indent=2).encode())

    def mark_committed(self) -> None:
        """Forgets what need not be written again, after the commit has succeeded."""
        self._written = self._rows
        for number in [number for number in self._files if number < self._rows // self._layout.file_rows]:
            del self._files[number]
        if len(self._open) > 1:
            self._open = [np.concatenate(self._open)]

    def _encode(self, rows: NDArray[Any]) -> bytes:
        data = np.ascontiguousarray(rows, self._layout.dtype).reshape(-1).view(np.uint8).data
        chunk: bytes = self._compressor.compress(data)
        return chunk + _checksum(chunk)

    def _shard(self, chunks: list[bytes]) -> bytes:
        index = np.full((self._layout.file_rows // self._layout.chunk_rows, 2), NO_CHUNK, SHARD_INDEX)
        lengths = np.array([len(chunk) for chunk in chunks], SHARD_INDEX)
        index[: len(chunks), 0] = np.cumsum(lengths) - lengths
        index[: len(chunks), 1] = lengths
        entries = index.tobytes()
        return b"".join([*chunks, entries, _checksum(entries)])


def _checksum(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "little")
