"""Killed, out of disk, or two at a time: what was committed opens and agrees with itself."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roadmask.engines.errors import StoreError, StoreExistsError, StoreLockedError
from roadmask.streaming.store import CameraWriter, check_drive, open_drive
from roadmask.streaming.store import files as store_files
from support.compare_stores import differing_files
from support.stores import FRAME_NS, SMALL, create, record, street

SIZE = (24, 40)


class Disk:
    """Lets some writes, flushes and renames pass, then refuses all others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passing: int | None = None
        self.passed = 0
        self.full = False
        for owner, name in ((Path, "write_bytes"), (Path, "replace"), (store_files, "flush")):
            monkeypatch.setattr(owner, name, self._guard(getattr(owner, name)))

    def fill_after(self, operations: int | None) -> None:
        self.passing, self.passed = operations, 0

    def _guard(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Path, *args: Any) -> Any:
            if self.passing is not None and self.passed >= self.passing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            self.passed += 1
            return operation(path, *args)

        return guarded


def operations_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        with create(tmp_path / "counted.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
            writer.start_epoch(0, SIZE, "media")
            for n, tracks in enumerate(street(12)):
                writer.append(n, n * FRAME_NS, tracks)
            disk.fill_after(10**6)
            writer.commit()
            return disk.passed


def test_disk_that_fills_up_costs_nothing_that_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = operations_of_a_commit(tmp_path, monkeypatch)
    assert total > 20
    complete = record(tmp_path / "complete.zarr", street(12))
    for step in [*range(0, total - 4, 12), *range(total - 4, total)]:
        path = tmp_path / f"full_{step}.zarr"
        with monkeypatch.context() as patch, create(path) as store:
            disk = Disk(patch)
            writer = CameraWriter(store.path, "front", SMALL)
            writer.start_epoch(0, SIZE, "media", {"fps": 10})
            for n, tracks in enumerate(street(12)):
                writer.append(n, n * FRAME_NS, tracks)
            disk.fill_after(step)
            with pytest.raises(
                StoreError, match=r"cannot write to .*No space left on device.*committed is safe"
            ) as caught:
                writer.commit()
            assert caught.value.exit_code == 4
            report = check_drive(path)
            assert report.ok, report.problems
            assert report.frames in (8, 12)
            disk.fill_after(None)  # somebody made room
            writer.close(captured=12)
        assert check_drive(path).ok
        assert differing_files(complete, path) == []


def test_full_disk_stops_appending_instead_of_growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        store = create(tmp_path / "drive.zarr")
        disk = Disk(patch)
        writer = CameraWriter(store.path, "front", SMALL)
        writer.start_epoch(0, SIZE, "media")
        disk.fill_after(0)
        for n, tracks in enumerate(street(20)):
            if n < 7:
                writer.append(n, n, tracks)
            else:
                with pytest.raises(StoreError):
                    writer.append(n, n, tracks)
        assert writer.ledger.stored == 8  # the eighth frame is buffered: it filled the shard
        with pytest.raises(StoreError):
            writer.close()
        with pytest.raises(StoreError):
            store.close()
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.lock"))


def test_target_without_room_fails_with_the_stores_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch).fill_after(0)
    with pytest.raises(StoreError, match="No space left") as caught:
        create(tmp_path / "drive.zarr")
    assert caught.value.exit_code == 4
    assert not any(tmp_path.iterdir())


def test_losses_after_the_last_frame_are_kept_too(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        writer.start_epoch(0, SIZE, "media")
        writer.append(0, 0, street(1)[0])
        writer.commit()
        writer.count_lost("dropped", "engine behind")
        writer.abandon()
    assert open_drive(tmp_path / "drive.zarr")["front"].ledger.dropped == {"engine behind": 1}


def test_run_that_fails_keeps_its_frames_without_claiming_to_be_complete(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"

    def run() -> None:
        with create(path) as store, CameraWriter(store.path, "front", SMALL) as writer:
            writer.start_epoch(0, SIZE, "media")
            for n, tracks in enumerate(street(11)):
                writer.append(n, n, tracks)
            writer.count_lost("failed", "engine")
            raise ZeroDivisionError("engine on fire")

    with pytest.raises(ZeroDivisionError):
        run()
    camera = open_drive(path)["front"]
    assert (len(camera), camera.complete) == (11, False)
    assert camera.ledger.failed == {"engine": 1}
    report = check_drive(path)
    assert report.ok
    assert any("front was not closed" in note for note in report.notes)
    assert "engine on fire" in (path / "provenance.jsonl").read_text()


def test_store_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with create(path):
        assert dict(open_drive(path)) == {}
        writer = CameraWriter(path, "front", SMALL)
        writer.start_epoch(0, SIZE, "media")
        assert len(open_drive(path)["front"]) == 0
        early = None
        for n, tracks in enumerate(street(20)):
            writer.append(n, n, tracks)
            if n == 12:
                early = open_drive(path)["front"]
        writer.commit()
        assert early is not None
        assert len(early) == 8  # as of its opening
        assert early.frame(7).track_ids.tolist() == [1, 2]
        assert len(open_drive(path)["front"]) == 20
        assert check_drive(path).ok
        writer.close()


KILLED = """
import sys
from pathlib import Path
from roadmask.streaming.store import CameraWriter
from support.stores import SMALL, create, street
with create(Path(sys.argv[1])) as store, CameraWriter(store.path, "front", SMALL) as writer:
    writer.start_epoch(0, (24, 40), "media")
    for n, tracks in enumerate(street(100_000)):
        writer.append(n, n, tracks)
        print(n, flush=True)
"""


def test_killed_writer_leaves_its_last_commit_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.replace("100_000", "3000"), str(path)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 20:
                break
        with pytest.raises(StoreLockedError, match=f"process {process.pid} on .* since 20"):
            create(path)
        with pytest.raises(StoreError):
            CameraWriter(path, "front")
        process.send_signal(signal.SIGKILL)
    report = check_drive(path)
    assert report.ok, report.problems
    assert report.frames >= 16
    assert report.frames % 8 == 0
    deadline = time.monotonic() + 60
    while True:  # the lock died with its holder, so it is the store itself that is in the way now
        with pytest.raises(StoreError) as caught:
            create(path)
        if not isinstance(caught.value, StoreLockedError) or time.monotonic() > deadline:
            break
    assert "already exists" in str(caught.value)


def test_store_may_be_closed_by_another_thread(tmp_path: Path) -> None:
    store = create(tmp_path / "drive.zarr")
    thread = threading.Thread(target=store.close)
    thread.start()
    thread.join()
    assert not list(tmp_path.glob("*.lock"))
    with pytest.raises(StoreExistsError):
        create(tmp_path / "drive.zarr")


def test_second_writer_of_a_camera_is_told_who_holds_it(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store:
        (store.path / "front").mkdir()
        lock = store_files.WriterLock(store.path / "front" / ".writer.lock", store.path / "front")
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on"):
            CameraWriter(store.path, "front", SMALL)
        lock.release()
        CameraWriter(store.path, "front", SMALL).close()
