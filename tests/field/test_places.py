"""Where roadmask runs: shares without fsync or locks, users without a home folder, Ray that may not start."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import pwd
import shlex
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from roadmask.engines import files
from roadmask.engines.errors import EngineError, RunError, StoreError, WeightsError
from roadmask.engines.networks import cache
from roadmask.engines.networks.weights import find_weights
from roadmask.streaming import ray_start
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.publishing import PublishedFolder
from roadmask.streaming.ray_actors import ray_session
from roadmask.streaming.store import check_drive
from support.batches import single, write_drives
from support.compare_stores import differing_files


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drives(tmp_path_factory.mktemp("videos"), 1) / "d00.mp4"


@pytest.fixture(scope="module")
def whole(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store on a local disk, in a folder whose name is no ASCII."""
    return single(video, tmp_path_factory.mktemp("Fahrt-\u00fc") / "d00.zarr")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Gives what was logged as a warning."""
    monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- shares


def refuse_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(files, "_reported", set())


def test_a_share_that_cannot_flush_folders_is_written_and_said_once(
    video: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]]
) -> None:
    refuse_folders(monkeypatch, errno.EINVAL)
    share = single(video, tmp_path / "share" / "d00.zarr")
    assert differing_files(whole, share) == []
    assert check_drive(share).ok
    (said,) = [text for text in log() if "cannot flush folders" in text]
    assert "Invalid argument" in said
    assert "--work LOCAL" in said


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_whatever_a_share_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]], number: int
) -> None:
    refuse_folders(monkeypatch, number)
    for _ in range(3):
        files.write_atomically(tmp_path / "note.json", "{}", sync=True)
    (said,) = log()
    assert os.strerror(number) in said


def test_a_disk_that_fails_is_not_taken_for_a_share(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_folders(monkeypatch, errno.EIO)
    with pytest.raises(StoreError, match="Input/output error"):
        single(video, tmp_path / "d00.zarr")


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int, below: Path) -> None:
    lock = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(below):
            raise OSError(number, os.strerror(number))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_share_without_locks_says_so_and_its_advice_works(
    video: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    share = tmp_path / "my share"
    share.mkdir()
    refuse_locks(monkeypatch, number, share)
    with pytest.raises(StoreError, match="its file system has no locks") as raised:
        single(video, share / "d00.zarr")
    assert os.strerror(number) in str(raised.value)
    assert list(share.iterdir()) == []  # the advised command finds nothing in its way
    advice = shlex.split(str(raised.value).split("`")[1])
    assert advice == ["roadmask", "batch", "VIDEOS", "--out", f"file://{share}", "--work", "LOCAL"]
    published = PublishedFolder(advice[4])
    published.require_writable()
    published.put(whole, DriveOutcome("d00", "stored"), {})
    assert differing_files(whole, share / "d00.zarr") == []


# --- users


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A user without HOME and without an entry in the list of users; gives their temporary folder."""

    def unknown(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME", "ROADMASK_CACHE", "TORCH_HOME", *ray_start._TOKEN_SOURCES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache._default_folder.cache_clear()
    yield tmp_path
    cache._default_folder.cache_clear()


@pytest.mark.parametrize("home", [None, "/proc/nobody", "/dev/null"])
def test_the_cache_of_a_user_without_a_home(
    nobody: Path, monkeypatch: pytest.MonkeyPatch, log: Callable[[], list[str]], home: str | None
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    expected = nobody / f"roadmask-{os.getuid()}"
    assert cache.folder() == cache.folder() == expected
    assert stat.S_IMODE(expected.stat().st_mode) == 0o700
    cache.write_atomically(cache.subfolder("graphs") / "a.onnx", b"graph")
    (said,) = log()
    assert "set ROADMASK_CACHE" in said
    assert str(expected) in said
    assert ("no home folder" if home is None else home) in said


def test_nobody_else_may_write_to_the_cache(nobody: Path) -> None:
    place = nobody / f"roadmask-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(EngineError, match="others may write to it: set ROADMASK_CACHE"):
        cache.folder()
    place.rmdir()
    place.symlink_to(nobody)
    with pytest.raises(EngineError, match="others may write to it"):
        cache.folder()


def test_what_needs_a_home_says_what_to_set(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"no home folder .* set TORCH_HOME"):
        find_weights("resnet50")
    monkeypatch.setenv("ROADMASK_CACHE", "~/graphs")
    with pytest.raises(EngineError, match="ROADMASK_CACHE, got '~/graphs'"):
        cache.folder()


def test_a_cache_that_cannot_be_written_costs_time_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROADMASK_CACHE", "/proc/nothing")
    cache.remember("batch/figures.json", b"{}")  # what is kept to save time
    with pytest.raises(EngineError, match=r"cannot write to the cache /proc/nothing .* set ROADMASK_CACHE"):
        cache.subfolder("graphs")
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
    refuse_locks(monkeypatch, errno.ENOLCK, tmp_path)
    with cache.lock(tmp_path / "graph.lock"):  # two may make the same graph; each appears whole
        cache.write_atomically(tmp_path / "graph", b"graph")


# --- Ray


def test_ray_needs_no_home(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")  # for its removal at the end
    ray_start.give_token()
    token = os.environ["RAY_AUTH_TOKEN"]
    assert len(token) == 64
    ray_start.give_token()
    assert os.environ["RAY_AUTH_TOKEN"] == token
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    monkeypatch.setenv("HOME", "/proc/nobody")
    ray_start.give_token()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    monkeypatch.setenv("HOME", str(nobody))  # where Ray keeps its own
    ray_start.give_token()
    assert os.environ["RAY_AUTH_TOKEN"] == ""


TIMED_OUT = "The current node timed out during startup. This could happen because some of the raylet failed to startup"


def start_ray(monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    """Gives what is said where Ray raises an error."""

    def init(**_: object) -> None:
        raise error

    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RunError) as raised, ray_session():
        pass
    assert raised.value.exit_code == 4
    assert "--no-ray" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("error", "words", "busy"),
    [
        (PermissionError(13, "Permission denied", "/ray"), "may not write to /ray (Permission denied)", False),
        (OSError(30, "Read-only file system", "/ray"), "may not write to /ray (Read-only file system)", False),
        (OSError(28, "No space left on device"), "No space left on device", False),
        (RuntimeError("Could not determine home directory."), "Could not determine home directory", False),
        (Exception(TIMED_OUT), "timed out during startup", True),
        (Exception(""), "Ray did not start (Exception)", False),
    ],
)
def test_ray_that_does_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, words: str, busy: bool
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    said = start_ray(monkeypatch, error)
    assert words in said
    assert ("less busy" in said) == busy


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "[2026-01-01 E raylet] plasma: open(/dev/shm/plasma) failed: Permission denied",
            "permissions of what it names",
        ),
        ("terminate called: thread: Resource temporarily unavailable", "`ulimit -u`"),
        ("accept: Too many open files", "`ulimit -n`"),
        ("gcs_server: cannot bind: Operation not permitted", "allow it to this user"),
    ],
)
def test_a_reason_in_the_logs_of_ray_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, remedy: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    old, new = (tmp_path / "ray" / f"session_{day}_{os.getpid()}" / "logs" for day in ("2025-01-01", "2026-01-01"))
    for folder, text in ((old, "disk: No space left on device\n"), (new, f"begins\n{line} {'at 0x1 ' * 99}\nends\n")):
        folder.mkdir(parents=True)
        (folder / "raylet.err").write_text(text)
    os.utime(old.parent, (time.time() - 900,) * 2)
    said = start_ray(monkeypatch, Exception(TIMED_OUT))
    assert f"{new / 'raylet.err'} says: {line}. To start it, " in said
    assert remedy in said
    assert "less busy" not in said


def test_shared_memory_that_ray_may_not_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != Path("/dev/shm") and may(path, mode))  # noqa: S108
    assert "may not write to /dev/shm" in start_ray(monkeypatch, Exception(TIMED_OUT))


# --- the encoding of the output
