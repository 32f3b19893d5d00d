"""`roadmask demo` shows what was found, how right it is, and how long each part took."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roadmask.cli import demo
from roadmask.engines import Image, Instances, ScriptedSegmenter
from roadmask.sample_drive import SampleDrive
from roadmask.streaming.store import open_drive

DRIVE = SampleDrive()
Cli = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find(image: Image, index: int) -> Instances:
        return DRIVE.truth(index).instances if image.shape[:2] == DRIVE.image_size else Instances.empty(image.shape[:2])

    monkeypatch.setattr("roadmask.streaming.recording.drive.build_segmenter", lambda _: ScriptedSegmenter(find))
    monkeypatch.setattr(demo, "_SAMPLE_FRAMES", 10)
    monkeypatch.chdir(tmp_path)


def test_a_part_of_the_sample_drive_is_compared_with_the_truth(roadmask_cli: Cli, tmp_path: Path) -> None:
    code, printed = roadmask_cli("demo")
    assert code == 0
    assert "first 0.4 s of the sample drive, 10 of its 250 frames" in printed
    for shown in ("recall", "precision", "Time", "comparison with the truth", "together"):
        assert shown in printed
    assert len(open_drive(tmp_path / "roadmask-demo" / "drive.zarr")["front"]) == 10
    assert (tmp_path / "roadmask-demo" / "overlay.mp4").stat().st_size > 0


def test_a_video_replaces_an_earlier_demo_and_nothing_else(roadmask_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    for size in ("64", "96"):
        source = f"synthetic:?fps=2&seconds=1&height={size}&width=96"
        code, printed = roadmask_cli("demo", source, "--out", "out")
        assert code == 0
        assert "recall" not in printed, "nobody knows the truth of a video"
    assert open_drive(tmp_path / "out" / "drive.zarr")["front"].frame(0).instances.image_size == (96, 96)
    assert (tmp_path / "out" / "mine.txt").exists()


def test_what_is_not_a_store_is_not_removed(roadmask_cli: Cli, tmp_path: Path) -> None:
    precious = tmp_path / "out" / "drive.zarr" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.touch()
    code, _ = roadmask_cli("demo", "--out", "out")
    assert code != 0
    assert precious.exists()
    (tmp_path / "file").touch()
    code, printed = roadmask_cli("demo", "--out", "file")
    assert code == 2
    assert "choose another folder with --out" in printed
