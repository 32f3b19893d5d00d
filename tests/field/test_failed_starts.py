"""A start that failed leaves nothing behind, so that the same command works once its cause is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roadmask.engines import ScriptedSegmenter
from roadmask.engines.errors import EngineError, StoreError
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.evaluation.speed.scripted import corner_segmenter, find_corner
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import CameraWriter, files, open_drive
from support.drives import bright_segmenter, scripted_job
from support.stores import create, street

Cli = Callable[..., tuple[int, str]]


def unprepared() -> Callable[[], ScriptedSegmenter]:
    """Returns what builds an engine that has nowhere to keep its graph, as with a HOME that cannot be written."""

    def build() -> ScriptedSegmenter:
        class Unprepared(ScriptedSegmenter):
            def warm_up(self, image_size: tuple[int, int]) -> None:
                raise EngineError(f"cannot write to the cache for {image_size}: set ROADMASK_CACHE.")

        return Unprepared(find_corner)

    return build


@pytest.mark.parametrize("on_ray", [False, pytest.param(True, marks=pytest.mark.ci)])
def test_an_engine_that_cannot_be_prepared(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    out = tmp_path / "new" / "folder" / "drive.zarr"
    jobs = [scripted_job("front", frames=20)]
    with pytest.raises(EngineError, match="set ROADMASK_CACHE"):
        record_drive(jobs, out, build=unprepared(), on_ray=on_ray)
    assert list(tmp_path.iterdir()) == []
    assert record_drive(jobs, out, build=bright_segmenter, on_ray=on_ray).exit_code == 0  # what the message advises


def test_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "drive.zarr").mkdir()
    with pytest.raises(EngineError):
        record_drive([scripted_job("front", frames=9)], tmp_path / "sub" / "drive.zarr", build=unprepared())
    with pytest.raises(StoreError, match="already exists"):
        create(tmp_path / "drive.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["drive.zarr"]


def test_frames_that_were_stored_stay_when_the_run_fails(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with pytest.raises(StoreError, match="the disk is gone"):
        record_and_fail(path)
    assert len(open_drive(path)["front"]) == 5


def record_and_fail(path: Path) -> None:
    drive = street(5)
    with create(path) as store:
        with CameraWriter(store.path, "front") as writer:
            writer.start_epoch(0, drive[0].instances.image_size, "media")
            for index, tracks in enumerate(drive):
                writer.append(index, index * 10**8, tracks)
        raise StoreError("the disk is gone")


def test_a_lock_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Path, "write_text", full)
    with pytest.raises(StoreError, match="No space left"):
        create(tmp_path / "new" / "drive.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_live_run_whose_cameras_can_never_work(tmp_path: Path, cluster: None) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text("this is no video")
    out = tmp_path / "drive.zarr"
    sources = parse_live_sources([f"front=replay:{clip}"])
    with ObservedRun(sources, out, LiveSettings(), [corner_segmenter]) as run:
        result = run.join()
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.ci
def test_training_without_labels(roadmask_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    code, said = roadmask_cli("train", tmp_path / "labels", "--out", tmp_path / "new" / "run")
    assert code == 2, said
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


def test_the_command_says_what_the_library_says(
    roadmask_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: unprepared()())
    monkeypatch.chdir(tmp_path)
    source = "front=synthetic:?seconds=0.2"
    code, said = roadmask_cli("run", source, "--out", "drive.zarr")
    assert (code, list(tmp_path.iterdir())) == (EngineError.exit_code, [])
    assert "set ROADMASK_CACHE" in said
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())
    assert roadmask_cli("run", source, "--out", "drive.zarr")[0] == 0
