"""The power fails: whatever the disk had not been told to keep may be gone, and the store opens at its last commit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadmask.engines.errors import StoreMissingError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.store import CameraWriter, check_drive, open_drive
from roadmask.streaming.store import files as store_files
from support.compare_stores import differing_files
from support.drives import bright_segmenter, scripted_job
from support.stores import SMALL

CONFIG = RunConfig(store=SMALL)


@dataclass
class Inode:
    """A file: what was written, and what of it the disk was told to keep."""

    content: bytes = b""
    kept: bytes = b""


@dataclass
class PowerCut:
    """Replays a log of writes up to a moment; what was not flushed by then is lost, or half of it, or nothing."""

    names: dict[Path, Inode | None] = field(default_factory=dict)
    """As programs see it; a folder is None."""
    kept_names: dict[Path, Inode | None] = field(default_factory=dict)

    def apply(self, operation: str, path: Path, detail: Any) -> None:
        match operation:
            case "mkdir":
                self.names[path] = None
            case "write":
                self.names[path] = Inode(detail, self.names[path].kept if path in self.names else b"")
            case "flush" if self.names.get(path) is not None:
                self.names[path].kept = self.names[path].content
            case "flush":  # a folder: the names in it
                for name in [name for name in self.kept_names if name.parent == path and name not in self.names]:
                    del self.kept_names[name]
                self.kept_names |= {name: inode for name, inode in self.names.items() if name.parent == path}
            case "rename":
                self.names[detail] = self.names.pop(path)
            case "unlink":
                self.names.pop(path, None)

    def lay_out(self, target: Path, root: Path, luck: Callable[[], bool]) -> None:
        """Writes what is found after the power came back."""
        found = {name: inode for name, inode in self.names.items() if luck()}
        for name, inode in self.kept_names.items():
            found.setdefault(name, inode)
        for name, inode in sorted(found.items()):
            path = target / name.relative_to(root)
            if inode is None:
                path.mkdir(parents=True, exist_ok=True)
            elif path.parent.is_dir():
                path.write_bytes(inode.content if luck() else inode.kept)


class Log:
    """Records what a run asks of the disk."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.operations: list[tuple[str, Path, Any]] = []
        self.commits: list[tuple[int, int]] = []
        """Operations so far, frames accounted for."""
        write, replace, unlink, mkdir, flush = (
            Path.write_bytes,
            Path.replace,
            Path.unlink,
            Path.mkdir,
            store_files.flush,
        )
        publish = CameraWriter._write_attributes

        def logged_mkdir(path: Path, *args: Any, **kwargs: Any) -> None:
            new = not path.exists()
            mkdir(path, *args, **kwargs)
            if new:
                self.operations.append(("mkdir", path, None))

        def logged_write(path: Path, data: Any) -> int:
            self.operations.append(("write", path, bytes(data)))
            return write(path, data)

        def logged_replace(path: Path, target: Path) -> Path:
            self.operations.append(("rename", path, Path(target)))
            return replace(path, target)

        def logged_unlink(path: Path, missing_ok: bool = False) -> None:
            self.operations.append(("unlink", path, None))
            unlink(path, missing_ok=missing_ok)

        def logged_flush(path: Path) -> None:
            self.operations.append(("flush", path, None))
            flush(path)

        def logged_publish(writer: CameraWriter, extents: Any) -> None:
            publish(writer, extents)
            self.commits.append((len(self.operations), writer.ledger.accounted))

        patch.setattr(Path, "mkdir", logged_mkdir)
        patch.setattr(Path, "write_bytes", logged_write)
        patch.setattr(Path, "replace", logged_replace)
        patch.setattr(Path, "unlink", logged_unlink)
        patch.setattr(store_files, "flush", logged_flush)
        patch.setattr("roadmask.streaming.store.mask_store.flush", logged_flush)
        patch.setattr(CameraWriter, "_write_attributes", logged_publish)


def jobs() -> list[CameraJob]:
    return [scripted_job(frames=30, epoch_at=18, lost=frozenset({4}))]


def record(out: Path, **options: Any) -> None:
    cameras = jobs()
    running.record_drive(cameras, out, CONFIG, **options)


@pytest.mark.parametrize(("luck", "first"), [("none", 0), ("all", 6), ("some", 12)])
def test_the_store_opens_at_its_last_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, luck: str, first: int
) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())
    root = tmp_path / "disk"
    root.mkdir()
    with monkeypatch.context() as patch:
        log = Log(patch)
        record(root / "drive.zarr")
    whole = root / "drive.zarr"
    assert len(log.commits) >= 5
    dice = np.random.default_rng(1)
    lucky = {"none": lambda: False, "all": lambda: True, "some": lambda: bool(dice.random() < 0.5)}[luck]
    opened = resumed = 0
    for cut in range(first, len(log.operations), 19):
        disk = PowerCut()
        for operation in log.operations[:cut]:
            disk.apply(*operation)
        after = tmp_path / "after"
        after.mkdir()
        disk.lay_out(after, root, lucky)
        promised = max((frames for at, frames in log.commits if at <= cut), default=0)
        next_one = min((frames for at, frames in log.commits if at > cut), default=promised)
        try:
            drive = open_drive(after / "drive.zarr")
        except StoreMissingError:
            assert not promised
        else:
            opened += 1
            accounted = drive["front"].ledger.accounted if "front" in drive else 0
            assert accounted in {promised, next_one}
            report = check_drive(after / "drive.zarr")
            assert report.ok, (cut, report.problems)
            if opened % 6 == 0:
                record(after / "drive.zarr", resume=True)
                assert differing_files(whole, after / "drive.zarr") == []
                resumed += 1
        shutil.rmtree(after)
    assert opened > 10
    assert resumed > 1
