"""The folder that stores exported graphs and compiled models between runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from roadmask.engines import files
from roadmask.engines.errors import EngineError


def folder() -> Path:
    """Returns the cache folder: ROADMASK_CACHE of the environment, or the user's cache folder for roadmask."""
    named = os.environ.get("ROADMASK_CACHE")
    return Path(named).expanduser() if named else user_cache_path("roadmask")


def subfolder(name: str) -> Path:
    """Returns a folder inside the cache, created if needed.

    Raises:
        EngineError: it cannot be made.
    """
    path = folder() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(error) from error
    return path


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Locks a file of the cache against other processes while it is written.

    Raises:
        EngineError: the lock cannot be written.
    """
    held = FileLock(path)
    try:
        held.acquire()
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield
    finally:
        held.release()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file of the cache so that readers see all of it or nothing.

    Raises:
        EngineError: it cannot be written.
    """
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> EngineError:
    return EngineError(
        f"cannot write to the cache {folder()} ({error.strerror}): free disk space, or set ROADMASK_CACHE to a "
        "folder that can hold the exported graphs."
    )
