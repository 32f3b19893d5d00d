"""Runs that detect only some frames: the others are filled, and the store has the same bytes however it was made."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadmask.engines import Instances, ScriptedSegmenter
from roadmask.engines.errors import ConfigError
from roadmask.streaming.config import EngineConfig, RunConfig, load_config
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.recording.reader import DetectionSchedule, Reader
from roadmask.streaming.recording.result import RunResult
from roadmask.streaming.store import CameraReader, check_drive, open_drive
from support.compare_stores import differing_files
from support.drives import ScriptedSource, bright_segmenter, find_bright, scripted_job
from support.stores import SMALL

SCRIPT: dict[str, Any] = {"fps": 25.0, "image_size": (96, 384)}
CONFIG = RunConfig(detect_every=3, store=SMALL)


def record(out: Path, jobs: list[CameraJob], config: RunConfig = CONFIG, **options: Any) -> RunResult:
    return record_drive(jobs, out, config, **{"build": bright_segmenter, **options})


def recorded(tmp_path: Path, config: RunConfig = CONFIG, **script: Any) -> CameraReader:
    record(tmp_path / "drive.zarr", [scripted_job(**{**SCRIPT, **script})], config)
    assert check_drive(tmp_path / "drive.zarr").ok
    return open_drive(tmp_path / "drive.zarr")["front"]


def propagated(camera: CameraReader) -> list[list[bool]]:
    return [frame.instances.propagated.tolist() for frame in camera]


def test_frames_between_detections_have_the_car_where_it_is(tmp_path: Path) -> None:
    camera = recorded(tmp_path, frames=16)
    assert propagated(camera) == [[number % 3 > 0] for number in range(16)]
    for number, frame in enumerate(camera):
        np.testing.assert_allclose(frame.instances.boxes, [[2 * number, 48, 2 * number + 18, 58]], atol=1.5)
        since = frame.instances.since_detected_ns
        assert since is not None
        assert since.tolist() == [0 if number % 3 == 0 else 40_000_000]
    (track,) = camera.tracks()
    assert (track.first_position, track.frames) == (0, 16)
    assert open_drive(tmp_path / "drive.zarr").attributes["config"]["detect_every"] == 3


def test_only_every_third_frame_reaches_the_engine(tmp_path: Path) -> None:
    segmenter = bright_segmenter()
    record(tmp_path / "drive.zarr", [scripted_job(frames=20, epoch_at=10, **SCRIPT)], build=lambda: segmenter)
    assert segmenter.images == 4 + 4  # frames 0, 3, 6, 9 and 10, 13, 16, 19: an epoch begins with a detection


def test_each_frame_detected_stores_what_it_always_did(tmp_path: Path) -> None:
    camera = recorded(tmp_path, RunConfig(store=SMALL, detect_every=1), frames=12)
    record(tmp_path / "default.zarr", [scripted_job(frames=12, **SCRIPT)], RunConfig(store=SMALL))
    assert differing_files(tmp_path / "drive.zarr", tmp_path / "default.zarr") == []
    assert not (camera.epochs[0].folder / "instances" / "since_detected_ns").exists()
    assert "detect_every" not in open_drive(tmp_path / "drive.zarr").attributes["config"]
    assert camera.frame(1).instances.since_detected_ns is None


def test_lost_and_failed_frames_and_ends_are_accounted_for(tmp_path: Path) -> None:
    # 3 gives no image, so 4 is detected instead; the engine fails on 7, so 5, 6 and 8, 9 know one side only
    camera = recorded(tmp_path, frames=12, lost=frozenset({3}), poisoned=frozenset({7}))
    assert (camera.ledger.captured, camera.ledger.stored) == (12, 10)
    assert camera.ledger.failed == {"decode": 1, "engine": 1}
    indices = [frame.frame_index for frame in camera]
    assert indices == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    detected = [index for index, found in zip(indices, propagated(camera), strict=True) if found == [False]]
    assert detected == [0, 4, 10]
    assert [len(each) for each in propagated(camera)] == [1] * 10


def test_nothing_is_carried_into_another_epoch(tmp_path: Path) -> None:
    camera = recorded(tmp_path, frames=11, epoch_at=5)
    assert [len(epoch) for epoch in camera.epochs] == [5, 6]
    detected = [number for number, found in enumerate(propagated(camera)) if found == [False]]
    assert detected == [0, 3, 5, 8]


@pytest.mark.parametrize("every", [2, 5])
def test_in_process_and_on_ray_store_the_same_bytes(tmp_path: Path, cluster: None, every: int) -> None:
    config = replace(CONFIG, detect_every=every)
    scripts: dict[str, dict[str, Any]] = {
        "front": {"frames": 43, "lost": frozenset({7, 8}), "epoch_at": 29, **SCRIPT},
        "rear": {"frames": 31, "poisoned": frozenset({10, 20}), **SCRIPT},
    }
    record(tmp_path / "one.zarr", [scripted_job(name, **script) for name, script in scripts.items()], config)
    jobs = [scripted_job(name, delay_seed=1, **script) for name, script in scripts.items()]
    record(tmp_path / "ray.zarr", jobs, config, on_ray=True)
    assert differing_files(tmp_path / "one.zarr", tmp_path / "ray.zarr") == []


@pytest.mark.parametrize("where", range(2, 34, 3))
def test_a_run_resumed_inside_a_gap_stores_the_same_bytes(tmp_path: Path, where: int) -> None:
    config = replace(CONFIG, detect_every=5)
    script = {"frames": 36, "lost": frozenset({3}), "poisoned": frozenset({11}), "epoch_at": 20, **SCRIPT}
    whole = record(tmp_path / "whole.zarr", [scripted_job(**script)], config)
    out, stop = tmp_path / "drive.zarr", threading.Event()

    def look(progress: dict[str, Any]) -> None:
        if progress["front"].frames >= where:
            stop.set()

    record(out, [scripted_job(delay_seed=2, **script)], config, stop=stop, on_progress=look)
    resumed = record(out, [scripted_job(**script)], config, resume=True)
    assert differing_files(tmp_path / "whole.zarr", out) == []
    assert (resumed.cameras[0].ledger, resumed.cameras[0].progress) == (
        whole.cameras[0].ledger,
        whole.cameras[0].progress,
    )


def test_a_run_resumed_on_ray_inside_a_gap_stores_the_same_bytes(tmp_path: Path, cluster: None) -> None:
    script = {"frames": 200, **SCRIPT}
    config = replace(CONFIG, detect_every=5)
    record(tmp_path / "whole.zarr", [scripted_job(**script)], config)
    out, stop = tmp_path / "drive.zarr", threading.Event()

    def look(progress: dict[str, Any]) -> None:
        if progress["front"].frames >= 13:
            stop.set()

    first = record(out, [scripted_job(delay_seed=1, **script)], config, on_ray=True, stop=stop, on_progress=look)
    assert first.interrupted
    record(out, [scripted_job(**script)], config, resume=True, on_ray=True)
    assert differing_files(tmp_path / "whole.zarr", out) == []


def test_weak_instances_only_confirm(tmp_path: Path) -> None:
    def find(image: np.ndarray, _: int) -> Instances:
        found = find_bright(image)
        left = int(found.boxes[0, 0])
        return replace(found, scores=np.array([0.4 if left % 12 == 6 else 0.9], np.float32))

    record(tmp_path / "drive.zarr", [scripted_job(frames=13, **SCRIPT)], build=lambda: ScriptedSegmenter(find))
    counts = [len(frame) for frame in open_drive(tmp_path / "drive.zarr")["front"]]
    assert counts == [1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]  # frames 3 and 9 were found with a score of 0.4


def test_the_engine_is_asked_for_weak_instances_only_where_frames_are_filled() -> None:
    assert RunConfig().detection == EngineConfig()
    assert RunConfig(detect_every=2).detection == EngineConfig(score_min=0.3)
    assert RunConfig(EngineConfig(score_min=0.2), detect_every=2).detection.score_min == 0.2


@pytest.mark.parametrize("every", [0, 33])
def test_an_interval_out_of_range_is_refused(tmp_path: Path, every: int) -> None:
    (tmp_path / "run.toml").write_text(f"detect_every = {every}")
    with pytest.raises(ConfigError, match=f"detect_every from 1 to 32, got {every}"):
        load_config(tmp_path / "run.toml")


@pytest.mark.parametrize(("skip", "first", "repeated"), [(0, 0, 0), (1, 0, 1), (7, 6, 1), (8, 6, 2), (11, 10, 1)])
def test_a_resumed_reader_begins_at_the_last_detection(skip: int, first: int, repeated: int) -> None:
    # detected: 0, 3, 6, 10, because 9 gives no image
    source = ScriptedSource("front", frames=14, lost=frozenset({9}))
    with Reader(source, skip=skip, detect_every=3) as front:
        assert [item.frame_index for item in front] == list(range(first, 14))
        assert front.repeated == repeated


def test_the_schedule_counts_images_of_an_epoch() -> None:
    schedule = DetectionSchedule(3)
    items = list(ScriptedSource("front", frames=9, lost=frozenset({1}), epoch_at=6))
    frames = [item for item in items if isinstance(item, Frame)]
    assert [frame.frame_index for frame in frames if schedule.detects(frame)] == [0, 4, 6]
