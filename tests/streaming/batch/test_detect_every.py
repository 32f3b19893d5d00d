"""A batch detects as rarely as its configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines import ScriptedSegmenter
from roadmask.streaming.batch import drive_worker
from roadmask.streaming.batch.drive_worker import DriveTask
from roadmask.streaming.batch.drives import DriveFiles
from roadmask.streaming.config import EngineConfig, RunConfig
from support.drives import find_bright


def test_the_engine_of_a_worker_reports_weak_instances_where_frames_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[EngineConfig] = []

    def build(config: EngineConfig) -> ScriptedSegmenter:
        built.append(config)
        return ScriptedSegmenter(find_bright)

    monkeypatch.setattr(drive_worker, "build_segmenter", build)
    drive = DriveFiles("monday", {"front": (tmp_path / "monday.mp4",)})
    for config in (RunConfig(), RunConfig(detect_every=3)):
        DriveTask(drive, tmp_path, config, threads=2).segmenter()
    assert built == [EngineConfig(threads=2), EngineConfig(threads=2, score_min=0.3)]


def test_a_drive_is_recorded_anew_with_another_interval(tmp_path: Path) -> None:
    drive = DriveFiles("monday", {"front": ()})
    one, other = (DriveTask(drive, tmp_path, RunConfig(detect_every=every), threads=2) for every in (1, 3))
    assert one.made_of() != other.made_of()
    assert "detect_every" not in one.made_of()["config"]
