"""The folder that stores exported graphs and compiled models between runs."""

from __future__ import annotations

import errno
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from roadmask.engines import files
from roadmask.engines.errors import EngineError

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_log = logging.getLogger(__name__)


def folder() -> Path:
    """Returns the cache folder: ROADMASK_CACHE of the environment, or the user's cache folder for roadmask.

    A user who has no home folder, or one that cannot be written, gets a private folder among the temporary files.

    Raises:
        EngineError: ROADMASK_CACHE names an unknown home folder, or others may write to the temporary folder.
    """
    named = os.environ.get("ROADMASK_CACHE")
    if not named:
        return _default_folder(tempfile.gettempdir(), os.environ.get("HOME"), os.environ.get("XDG_CACHE_HOME"))
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise EngineError(
            f"expected a folder in ROADMASK_CACHE, got {named!r}, whose home folder is unknown: give an absolute path."
        ) from error


@lru_cache
def _default_folder(temporary: str, *_environment: str | None) -> Path:
    try:
        path = user_cache_path("roadmask")
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK) and not any(path.iterdir()):  # one with graphs can be read
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    except (OSError, RuntimeError) as error:  # RuntimeError: neither HOME nor an entry in the list of users
        path = _private_folder(Path(temporary) / f"roadmask-{os.getuid()}", error)
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "this user has no home folder"
        _log.warning(
            "cannot make the cache folder (%s): exported graphs go to %s; set ROADMASK_CACHE to a folder that lasts",
            why,
            path,
        )
    return path


def _private_folder(path: Path, cause: Exception) -> Path:
    """Makes a folder that nobody else can write to: what lies in the cache is executed."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise _unwritable(path, error) from cause
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise EngineError(
            f"cannot use {path} as the cache, because others may write to it: set ROADMASK_CACHE to a folder of your "
            "own."
        ) from cause
    return path


def subfolder(name: str) -> Path:
    """Returns a folder inside the cache, created if needed.

    Raises:
        EngineError: it cannot be made.
    """
    path = folder() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder(), error) from error
    return path


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Locks a file of the cache against other processes while it is written.

    On a file system without locks, two processes may do the same work; each file still appears whole.

    Raises:
        EngineError: the lock cannot be written.
    """
    held = FileLock(path)
    try:
        held.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise _unwritable(folder(), error) from error
        _log.debug("no lock for %s: its file system has none", path)
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
        raise _unwritable(folder(), error) from error


def remember(name: str, content: bytes) -> None:
    """Writes what is kept only to save time: a cache that cannot be written costs that time, and nothing else.

    Args:
        name: path of the file below the cache folder.
        content: its bytes.
    """
    path = folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, content)
    except OSError as error:
        _log.debug("%s is not kept: %s", path, error.strerror)


def _unwritable(path: Path, error: OSError) -> EngineError:
    return EngineError(
        f"cannot write to the cache {path} ({error.strerror}): free disk space, or set ROADMASK_CACHE to a folder that "
        "can hold the exported graphs."
    )
