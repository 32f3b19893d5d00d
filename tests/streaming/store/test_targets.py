"""Disks that are full, read-only, over quota or gone, through the command line: exit 4, and nothing stored is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from roadmask.streaming.store import check_drive, open_drive
from support.compare_stores import differing_files
from support.drives import ScriptedSource

FRAMES = 60


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for frame in ScriptedSource("front", frames=FRAMES):
        cv2.imwrite(str(folder / f"{frame.frame_index:03}.png"), frame.image)
    (folder.parent / "small.toml").write_text("[store]\nshard_mb = 0.001\n")
    return folder


def roadmask(images: Path, out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "support.scripted_cli", "run", f"front={images}", "--out", str(out), "--no-ray"]
    command += ["--config", str(images.parent / "small.toml"), *options]
    paths = {"PYTHONPATH": str(Path(__file__).parents[2]), **environment}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **paths}
    )


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    printed, _ = run.communicate(timeout=300)
    return run.returncode, " ".join(printed.split())


@pytest.fixture(scope="module")
def whole(images: Path) -> Path:
    out = images.parent / "whole.zarr"
    assert ended(roadmask(images, out))[0] == 0
    return out


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.strip()}")
    yield folder
    while folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_a_full_disk_and_then_room(images: Path, whole: Path, mount: Path) -> None:
    out = mount / "drive.zarr"
    room = subprocess.run(["du", "-sk", str(whole)], capture_output=True, text=True, check=True).stdout.split()[0]
    remount(mount, f"size={int(room) * 85 // 100}k")
    code, printed = ended(roadmask(images, out))
    assert code == 4, printed
    assert "No space left on device" in printed
    assert "continue with --resume" in printed
    stored = len(open_drive(out)["front"])
    assert 0 < stored < FRAMES
    assert check_drive(out).ok
    remount(mount, "size=4m")
    assert ended(roadmask(images, out, "--resume"))[0] == 0
    assert differing_files(whole, out) == []


def test_a_quota_on_the_size_of_files(images: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    largest = max(path.stat().st_size for path in (whole / "front").rglob("c.*"))
    code, printed = ended(roadmask(images, out, FILE_BYTES=str(max(largest - 100, 2000))))
    assert code == 4, printed
    assert "File too large" in printed
    assert check_drive(out).ok
    assert ended(roadmask(images, out, "--resume"))[0] == 0
    assert differing_files(whole, out) == []


def test_a_read_only_target(images: Path, mount: Path) -> None:
    remount(mount, "ro")
    code, printed = ended(roadmask(images, mount / "drive.zarr"))
    assert code == 4, printed
    assert "Read-only file system" in printed


def test_a_disk_that_is_pulled_out(images: Path, whole: Path, mount: Path, tmp_path: Path) -> None:
    out, aside = mount / "drive.zarr", tmp_path / "aside"
    aside.mkdir()
    subprocess.run(["mount", "--bind", str(mount), str(aside)], check=True)  # the disk itself lives on
    try:
        run = roadmask(images, out, SLOW_S="0.1")
        deadline = time.monotonic() + 120
        while not (out / "front/0/id_map/c.1.0.0").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        subprocess.run(["umount", "-l", str(mount)], check=True)
        code, printed = ended(run)
        assert code == 4, printed
        assert "is gone" in printed
        assert list(mount.rglob("*")) == []  # nothing was written beside the disk
        stored = aside / "drive.zarr"
        assert 8 <= len(open_drive(stored)["front"]) < FRAMES  # the second commit may not have come to its end
        assert check_drive(stored).ok
        assert ended(roadmask(images, stored, "--resume"))[0] == 0
        assert differing_files(whole, stored) == []
    finally:
        subprocess.run(["umount", "-l", str(aside)], check=True)
