"""Runs of calibrated cameras: distances in tracks, stores and exports, and the same bytes after a resumed run."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadmask import Pipeline
from roadmask.engines.errors import CalibrationError, ConfigError
from roadmask.geometry import read_calibration
from roadmask.streaming.config import RunConfig
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.rle_jsonl import write as write_jsonl
from roadmask.streaming.recording import drive as running
from roadmask.streaming.store import open_drive
from roadmask.streaming.store.check import check_drive
from roadmask.streaming.store.layout import DISTANCE_ARRAYS
from support.compare_stores import differing_files
from support.drives import ScriptedSource, bright_segmenter, scripted_job
from support.stores import SMALL


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())


@pytest.fixture
def calibrated(tmp_path: Path) -> RunConfig:
    """Settings with a camera of 96 x 48 pixels whose horizon is at the top of the car that drives by."""
    path = tmp_path / "camera.json"
    matrix = [[60, 0, 47.5], [0, 60, 12], [0, 0, 1]]
    values = {"camera_matrix": matrix, "dist_coeffs": [0, 0, 0, 0], "image_width": 96, "image_height": 48}
    path.write_text(json.dumps(values))
    return RunConfig(store=SMALL, calibration={"*": str(path)}, camera_height=1.5, camera_pitch=0.0)


def test_a_calibrated_run_stores_what_the_pipeline_finds(tmp_path: Path, calibrated: RunConfig) -> None:
    out = tmp_path / "drive.zarr"
    running.record_drive([scripted_job("front", frames=30, epoch_at=20)], out, calibrated)
    front = open_drive(out)["front"]
    pipeline = Pipeline(bright_segmenter(), calibration=calibrated.calibration_of("front"))
    known = 0
    for stored, frame in zip(front, ScriptedSource("front", frames=30, epoch_at=20), strict=True):
        found = pipeline.step(frame).distances  # type: ignore[arg-type]
        assert found is not None
        assert stored.distances is not None
        for name, values in vars(found).items():
            np.testing.assert_array_equal(getattr(stored.distances, name), values, err_msg=name)
        known += int(np.isfinite(found.metres).sum())
    assert known > 10
    for epoch, size in zip(front.epochs, ((48, 96), (24, 48)), strict=True):
        assert epoch.calibration == calibrated.calibration_of("front").for_images(size)  # type: ignore[union-attr]
    assert not check_drive(out).problems


def test_a_run_without_calibration_stores_none_of_it(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    running.record_drive([scripted_job("front", frames=8)], out, RunConfig(store=SMALL))
    epoch = open_drive(out)["front"].epochs[0]
    assert not any(epoch.has(name) for name in DISTANCE_ARRAYS)
    assert epoch.calibration is None
    assert open_drive(out)["front"].frame(3).distances is None
    assert not {"calibration", "camera_height", "camera_pitch"} & open_drive(out).attributes["config"].keys()


def test_a_resumed_run_ends_with_the_bytes_of_a_whole_one(tmp_path: Path, calibrated: RunConfig) -> None:
    whole, out = tmp_path / "whole.zarr", tmp_path / "drive.zarr"
    running.record_drive([scripted_job("front", frames=60)], whole, calibrated)
    stop = threading.Event()

    def look(progress: dict[str, Any]) -> None:
        if progress["front"].frames >= 30:
            stop.set()

    slowly = [scripted_job("front", frames=60, delay_seed=1)]
    assert running.record_drive(slowly, out, calibrated, stop=stop, on_progress=look).exit_code == 130
    running.record_drive([scripted_job("front", frames=60)], out, calibrated, resume=True)
    assert differing_files(whole, out) == []


def test_exports_name_distances(tmp_path: Path, calibrated: RunConfig) -> None:
    out = tmp_path / "drive.zarr"
    running.record_drive([scripted_job("front", frames=12)], out, calibrated)
    path = tmp_path / "rows.jsonl"
    write_jsonl(ExportJob(open_drive(out)), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert any(row["metres"] is not None and row["metres_sigma"] > 0 and row["reason"] is None for row in rows)


def test_a_calibration_that_cannot_be_used_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out, bad = tmp_path / "drive.zarr", tmp_path / "bad.yaml"
    bad.write_text("a: 1")
    with pytest.raises(CalibrationError, match=r"bad\.yaml: expected a calibration"):
        running.record_drive([scripted_job("front", frames=3)], out, RunConfig(calibration={"*": str(bad)}))
    with pytest.raises(ConfigError, match="camera of this run"):
        running.record_drive([scripted_job("front", frames=3)], out, RunConfig(calibration={"rear": str(bad)}))
    with pytest.raises(ConfigError, match="--calibration FILE"):
        RunConfig(camera_height=1.5)
    assert not out.exists()


def test_options_reach_the_calibration(tmp_path: Path, calibrated: RunConfig) -> None:
    found = calibrated.calibration_of("front")
    assert found is not None
    assert (found.height, found.pitch) == (1.5, 0.0)
    assert "height from the settings of the run" in found.sources
    assert read_calibration(calibrated.calibration["*"]).height is None
