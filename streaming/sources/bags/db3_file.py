"""Reads ROS 2 bags of rosbag2's SQLite storage, with and without their `metadata.yaml`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import zstandard

from roadmask.streaming.sources.bags.raw import DamagedBagError, RawMessage, plain_type

MAGIC = b"SQLite format 3\0"
_PADDED_MAX = 2**30
"""Maximum size in bytes of a cut database that is completed in memory."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""First bytes of a message that rosbag2 compressed by itself; a serialized message begins with a zero."""


def read_db3(path: Path, problems: list[str]) -> Iterator[RawMessage]:
    """Yields the messages of a db3 file in the order in which they were recorded.

    If the file is damaged, what follows is missing, which is appended to `problems` as a sentence.

    Raises:
        DamagedBagError: the file is no database, or has no tables of rosbag2.
    """
    try:
        connection = _open(path)
    except sqlite3.Error as error:
        completed = _completed(path)
        if completed is None:
            raise DamagedBagError(f"it is not a database of rosbag2 ({error})") from error
        connection = completed
        problems.append("it was cut off: its end is missing")
    with closing(connection):
        try:
            topics = {
                number: (str(name), plain_type(str(kind)), "cdr" if serialization == "cdr" else "other")
                for number, name, kind, serialization in connection.execute(
                    "SELECT id, name, type, serialization_format FROM topics"
                )
            }
        except sqlite3.Error as error:
            raise DamagedBagError(f"it has no tables of rosbag2 ({error})") from error
        try:
            for number, log_ns, data in connection.execute(
                "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
            ):
                if number not in topics or not isinstance(data, bytes):
                    problems.append("a message without topic or content was left out")
                    continue
                name, kind, serialization = topics[number]
                content = _decompressed(data) if data.startswith(_ZSTD) else data
                yield RawMessage(name, kind, "cdr" if serialization == "cdr" else "other", int(log_ns), content)
        except sqlite3.Error as error:
            problems.append(f"it is damaged: reading ends early ({error})")


def _open(path: Path) -> sqlite3.Connection:
    """Opens a database without writing to it.

    A recorder that was killed leaves a journal beside the file (`-wal`), whose messages SQLite reads only where it may
    write to the folder; elsewhere the file is read alone.
    """
    address = f"file:{quote(str(path.resolve()))}"
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{address}?{mode}", uri=True, check_same_thread=False)
        try:
            connection.execute("SELECT name FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if mode.endswith("1"):
                raise
        except sqlite3.Error:
            connection.close()
            raise
        else:
            return connection
    raise AssertionError("the loop returns or raises")


def _completed(path: Path) -> sqlite3.Connection | None:
    """Opens a cut database in memory, with zeros for the pages that are missing; None if that does not help."""
    content = path.read_bytes() if path.stat().st_size <= _PADDED_MAX else b""
    if not content.startswith(MAGIC) or len(content) < 100:
        return None
    # The size of a page and the number of pages, from sqlite.org/fileformat.html, section 1.3.
    page, pages = int.from_bytes(content[16:18]), int.from_bytes(content[28:32])
    whole = (65536 if page == 1 else page) * pages
    if not len(content) < whole <= _PADDED_MAX:
        return None
    # Bytes 18 and 19 ask for a write-ahead log, which a database in memory cannot have.
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        connection.deserialize(content[:18] + b"\1\1" + content[20:] + bytes(whole - len(content)))
        connection.execute("SELECT name FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        return None
    return connection


def _decompressed(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError:
        return b""
