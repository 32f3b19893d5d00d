"""Files that survive a crash, and the lock that keeps a second writer out.

zarr's local store renames files into place but never flushes them to the disk, so a crash can leave a committed file
empty. Here a file is renamed only when its bytes are on the disk, and a commit renames all its files together.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shlex
import socket
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import filelock
from zarr.abc.buffer import Buffer
from zarr.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from roadmask.engines.errors import StoreError, StoreLockedError
from roadmask.engines.files import flush, partial_path

_log = logging.getLogger(__name__)
_FSYNC_THREADS = 8
"""Number of threads that flush files: file systems merge flushes that are requested together."""

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class DurableStore(LocalStore):
    """A zarr store on the local file system that flushes what it writes.

    Inside `commit`, files are only prepared; leaving it flushes all of them, renames them into place, then flushes
    their folders. Outside it, each file takes these steps on its own. It serves one writer at a time.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._prepared: set[Path] = set()
        self._in_commit = False

    async def set(self, key: str, value: Buffer) -> None:
        """Writes one file."""
        self._write(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Writes one file unless it exists."""
        path = self.root / key
        if path not in self._prepared and not path.exists():
            self._write(key, value)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Makes all files that are written inside it appear together, once their bytes are on the disk.

        Raises:
            StoreError: the file system refused; no file was renamed unless renaming itself failed.
        """
        self._in_commit = True
        try:
            yield
            self._publish()
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self._in_commit = False
            for path in self._prepared:
                with suppress(OSError):
                    partial_path(path).unlink(missing_ok=True)
            self._prepared.clear()

    def write_file(self, key: str, data: bytes) -> None:
        """Writes a file without zarr, as durably as those of zarr."""
        self._write(key, default_buffer_prototype().buffer.from_bytes(data))

    def _write(self, key: str, value: Buffer) -> None:
        if not self._in_commit:
            with self.commit():
                return self._write(key, value)
        path = self.root / key
        if not self.root.is_dir():  # never recreate it: its disk was removed, and another disk would fill up instead
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.root))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._prepared.add(path)
        partial_path(path).write_bytes(value.as_buffer_like())
        return None

    def _publish(self) -> None:
        paths = sorted(self._prepared)
        with ThreadPoolExecutor(_FSYNC_THREADS) as pool:
            list(pool.map(flush, map(partial_path, paths)))
            for path in paths:
                partial_path(path).replace(path)
            list(pool.map(flush, self._folders(paths)))
        self._prepared.clear()

    def _folders(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Returns the folders up to the root: a new folder lasts only once its parent is flushed too."""
        return {folder for path in paths for folder in path.parents if folder.is_relative_to(self.root)}

    def _refused(self, error: OSError) -> StoreError:
        why = error.strerror or error
        if not self.root.is_dir():
            why = f"{self.root} is gone, was its disk removed?"
        return StoreError(
            f"cannot write to {error.filename or self.root}: {why}. What was committed is safe and opens; free space "
            f"or repair the disk, then continue with --resume."
        )


class WriterLock:
    """Keeps a second writer out. The lock's file names its holder and disappears with the lock.

    A killed process releases its lock, because the operating system holds it and the file only describes it.
    """

    def __init__(self, path: Path, guarded: Path, wait_s: float = 0) -> None:
        """Acquires the lock.

        Args:
            path: file of the lock.
            guarded: file or folder that the lock guards, for messages.
            wait_s: maximum time in seconds to wait for another writer, such as one that outlives its killed run.

        Raises:
            StoreLockedError: another writer holds the lock; the message names it.
            StoreError: the file cannot be written.
        """
        self._path = path
        # Not bound to a thread: a store may be closed by another thread than the one that opened it.
        # A file system without locks is refused: a marker that stands for a lock would outlive a killed process.
        self._lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
        self._guarded = guarded
        self._name = json.dumps({**this_process(), "token": uuid.uuid4().hex}) + "\n"
        try:
            self._acquire(wait_s)
            self._write_name()
        except filelock.Timeout as error:
            raise StoreLockedError(
                f"another process is writing to {guarded}: {_holder(path)}. Wait until it ends, stop it, or choose "
                f"another --out."
            ) from error
        except (OSError, NotImplementedError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError | NotImplementedError) -> StoreError:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            place = error.filename or self._path
            return StoreError(
                f"cannot write to {self._guarded}: {error.strerror or error} ({place}). Choose a folder that you may "
                f"write to."
            )
        with suppress(OSError):
            if not self._path.stat().st_size:  # created by this attempt: others without locks wrote nothing either
                self._path.unlink()
        why = error.strerror if isinstance(error, OSError) else "flock is missing"
        share = shlex.quote(f"file://{self._guarded.absolute().parent}")
        return StoreError(
            f"cannot write to {self._guarded}: its file system has no locks ({why}), which keep a second writer out. "
            f"Write to a local disk and copy the store when it is finished; `roadmask batch VIDEOS --out {share} "
            f"--work LOCAL` does both."
        )

    def _write_name(self) -> None:
        try:
            self._path.write_text(self._name)
        except BaseException:
            self._path.unlink(missing_ok=True)
            self._lock.release()
            raise

    def _acquire(self, wait_s: float) -> None:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait_s:
                raise
            _log.warning("waiting up to %.0f s for the writer of %s: %s", wait_s, self._guarded, _holder(self._path))
            self._lock.acquire(timeout=wait_s)

    def require_held(self) -> None:
        """Checks that the lock's file is still its own: a writer that lost its lock must not write any more.

        Raises:
            StoreLockedError: the file was removed or belongs to another process.
        """
        try:
            if self._path.read_text() == self._name:
                return
        except OSError as error:
            raise StoreLockedError(
                f"the lock of {self._guarded} is gone ({error.strerror}): the folder was moved, its disk was removed, "
                f"or another process took over. Nothing more is written. Restore the folder, then continue with "
                f"--resume."
            ) from error
        raise StoreLockedError(
            f"another process took over {self._guarded}: {_holder(self._path)}. This process writes nothing more."
        )

    def release(self) -> None:
        """Releases the lock; does nothing the second time."""
        if self._lock.is_locked:
            with suppress(StoreLockedError):  # the file belongs to another process
                self.require_held()
                self._path.unlink(missing_ok=True)  # before the release: a waiter notices that its file was removed
            self._lock.release()


def this_process() -> dict[str, str | int]:
    """Returns process id, host and wall clock, to name the holder of a lock or the author of an event."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}


def lock_of(path: Path) -> Path:
    """Returns the path of the lock of a store."""
    return path.with_name(path.name + ".lock")


def current_writer(path: Path) -> str | None:
    """Returns a description of the process that writes to a store; None if there is none."""
    try:
        with lock_of(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the end of the block releases it
    except BlockingIOError:
        return _holder(lock_of(path))
    except OSError:
        return None
    return None


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it is unknown"


def now() -> str:
    """Returns the wall clock in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
