"""Files that appear whole or not at all: they are written beside their place, then renamed into it."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CANNOT_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EISDIR})
_reported: set[int] = set()
"""Devices whose file system cannot flush folders."""
_log = logging.getLogger(__name__)

PARTIAL = ".partial"
"""Ends the name of a file or folder that is still being written. One that a killed process left is never read."""


def write_atomically(path: Path, content: bytes | str, *, sync: bool = False) -> None:
    """Writes a file so that readers see all of it or what was there before.

    Args:
        path: the file; its folder exists. The target of a symbolic link is replaced, not the link. What is no regular
            file, such as a pipe or /dev/stdout, is written directly.
        content: bytes, or text that is written as UTF-8.
        sync: whether to return only when the content and its name are on the disk.

    Raises:
        OSError: the file cannot be written; what was there before is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with replacing(path, sync=sync) as partial:
        partial.write_bytes(data)


@contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Gives the name of a file to write, and renames that file to `path` at the end; an exception removes it.

    Args:
        path: the file, as for `write_atomically`.
        sync: whether the content and its name are to be on the disk at the end.

    Raises:
        OSError: the file cannot be written.
    """
    path = path.resolve()
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        yield partial
        if sync:
            flush(partial)
        partial.replace(path)
        if sync:
            flush(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Gives the name of a file or folder to make, of the same last part, and moves it to `path` at the end.

    Args:
        path: the file or folder, which does not exist yet; its parent does.

    Raises:
        OSError: it cannot be written, or something appeared at `path` meanwhile.
    """
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
    try:
        yield scratch / path.name
        (scratch / path.name).rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def partial_path(path: Path) -> Path:
    """Returns the name under which one known writer prepares a file: `NAME.partial` beside it."""
    return path.with_name(path.name + PARTIAL)


def flush(path: Path) -> None:
    """Waits until the bytes of a file, or the names in a folder, are on the disk.

    Some file systems, such as shares of virtual machines, cannot flush folders: this is logged once for each of them.

    Raises:
        OSError: they cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH or not path.is_dir():
            raise
        _report_unflushed(path, error)


def _report_unflushed(folder: Path, error: OSError) -> None:
    device = folder.stat().st_dev
    if device not in _reported:
        _reported.add(device)
        _log.warning(
            "the file system of %s cannot flush folders (%s): the newest commits may be missing or incomplete after a "
            "power cut. To be safe from that, write to a local disk, or publish from one with `roadmask batch VIDEOS "
            "--out file:///SHARE --work LOCAL`.",
            folder,
            error.strerror,
        )


@contextmanager
def folder_made(path: Path) -> Iterator[None]:
    """Creates a folder and those above it; an exception removes those that were created here and are still empty.

    Raises:
        OSError: a folder cannot be created.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders that are empty, in this order; others stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
