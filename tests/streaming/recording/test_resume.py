"""A run that was killed or interrupted goes on at its last commit, and ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError, StoreLockedError, StoreResumeError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.recording.result import RunResult
from roadmask.streaming.store import CameraWriter, check_drive, open_drive
from roadmask.streaming.store.compare import differing_files
from roadmask.tracking import IouTrackerConfig
from support.drives import bright_segmenter, scripted_job
from support.killable import STEPS
from support.stores import FRAME_NS, SMALL, create, street

CONFIG = RunConfig(store=SMALL)


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())


def record(out: Path, jobs: list[CameraJob], config: RunConfig = CONFIG, **options: Any) -> RunResult:
    return running.record_drive(jobs, out, config, **options)


def stop_after(frames: int) -> dict[str, Any]:
    stop = threading.Event()

    def look(progress: dict[str, Any]) -> None:
        if any(camera.frames >= frames for camera in progress.values()):
            stop.set()

    return {"stop": stop, "on_progress": look}


def run_and_kill(out: Path, step: str, count: int, *how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "support.killable", str(out), step, str(count), *how]
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": tests, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A run that was never killed, and how many steps of each kind it took."""
    out = tmp_path_factory.mktemp("whole") / "drive.zarr"
    ended = run_and_kill(out, "none", 0)
    assert ended.returncode == 3, ended.stderr  # some frames are lost on purpose
    return out, json.loads(ended.stdout)


@pytest.mark.parametrize("step", STEPS)
def test_killed_inside_a_step_of_a_commit(tmp_path: Path, whole: tuple[Path, dict[str, int]], step: str) -> None:
    out, steps = tmp_path / "drive.zarr", whole[1]
    kills = 2
    for part in range(1, kills + 1):  # a resumed run takes fewer steps than the one before
        killed = run_and_kill(out, step, steps[step] * (part + 1) // (2 * kills + 2))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        front = open_drive(out)["front"]
        assert 0 < front.ledger.accounted < 90
        report = check_drive(out)
        assert report.ok, report.problems
    assert run_and_kill(out, "none", 0).returncode == 3
    assert differing_files(whole[0], out) == []
    assert [json.loads(line)["event"] for line in (out / "provenance.jsonl").read_text().splitlines()] == [
        "created",
        *["resumed"] * kills,
        "closed",
    ]


def kill_at_random(out: Path, seed: int, most: int, *how: str) -> list[int]:
    """Kills and resumes until the run is through; returns the frames accounted for in the store after each kill."""
    moments = np.random.default_rng(seed)
    accounted: list[int] = []
    for _ in range(60):
        ended = run_and_kill(out, "random", int(moments.integers(1, most)), *how)
        if ended.returncode != -signal.SIGKILL:
            assert ended.returncode == 3, ended.stderr
            return accounted
        begun = (out / "front").is_dir() and (out / "zarr.json").is_file()
        accounted.append(open_drive(out)["front"].ledger.accounted if begun else 0)
    raise AssertionError("it never came to its end")


def test_killed_at_random_moments(tmp_path: Path, whole: tuple[Path, dict[str, int]]) -> None:
    accounted = kill_at_random(tmp_path / "drive.zarr", 7, sum(whole[1].values()) // 4)
    assert len(accounted) >= 5
    assert differing_files(whole[0], tmp_path / "drive.zarr") == []


@pytest.mark.ci
def test_killed_on_ray_with_its_writers(tmp_path: Path, whole: tuple[Path, dict[str, int]]) -> None:
    out = tmp_path / "drive.zarr"
    killed = run_and_kill(out, "rename", whole[1]["rename"] // 3, "ray")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    accounted = open_drive(out)["front"].ledger.accounted
    assert 0 < accounted < 90
    assert run_and_kill(out, "none", 0, "ray").returncode == 3  # waits for orphaned writers
    assert differing_files(whole[0], out) == []


@pytest.mark.bars
@pytest.mark.timeout(1800)  # on Ray each life takes long to begin
@pytest.mark.parametrize(("seed", "how"), [*((seed, ()) for seed in range(5)), (5, ("ray",)), (6, ("ray",))])
def test_killed_at_many_random_moments(
    tmp_path: Path, whole: tuple[Path, dict[str, int]], seed: int, how: tuple[str, ...]
) -> None:
    accounted = kill_at_random(tmp_path / "drive.zarr", seed, sum(whole[1].values()) // 7, *how)
    assert len(accounted) >= 10
    assert sum(0 < frames < 90 for frames in accounted) >= 8  # between the first commit and the last
    assert differing_files(whole[0], tmp_path / "drive.zarr") == []


@pytest.mark.parametrize("on_ray", [False, True])
def test_an_interrupted_run_goes_on(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    # Long enough to be told to stop before its end: on Ray up to twenty frames are on their way.
    script: dict[str, Any] = {"frames": 240, "lost": frozenset({7, 30}), "poisoned": frozenset({33}), "epoch_at": 40}

    def jobs() -> list[CameraJob]:
        return [scripted_job("front", **script), scripted_job("rear", frames=9)]

    record(tmp_path / "whole.zarr", jobs())
    out = tmp_path / "drive.zarr"
    slowly = [scripted_job("front", delay_seed=1, **script), scripted_job("rear", frames=9)]
    first = record(out, slowly, on_ray=on_ray, **stop_after(20))
    assert first.exit_code == 130
    assert first.cameras[1].ledger.stored == 9
    begun = open_drive(out)
    assert begun["rear"].complete
    assert not begun["front"].complete
    last = record(out, jobs(), resume=True, on_ray=on_ray)
    assert last.exit_code == 3
    assert [camera.ledger.captured for camera in last.cameras] == [240, 9]
    assert differing_files(tmp_path / "whole.zarr", out) == []
    before = (out / "provenance.jsonl").read_bytes()
    again = record(out, jobs(), resume=True, on_ray=on_ray)
    assert again.finished_before
    assert [(c.ledger, c.progress) for c in again.cameras] == [(c.ledger, c.progress) for c in last.cameras]
    assert (out / "provenance.jsonl").read_bytes() == before
    assert differing_files(tmp_path / "whole.zarr", out) == []


@pytest.mark.parametrize("where", range(1, 30, 4))
def test_progress_and_tracks_go_on_wherever_it_was_interrupted(tmp_path: Path, where: int) -> None:
    def jobs() -> list[CameraJob]:
        return [scripted_job("front", frames=30, epoch_at=16, lost=frozenset({3}))]

    whole = record(tmp_path / "whole.zarr", jobs())
    out = tmp_path / "drive.zarr"
    record(out, [scripted_job("front", frames=30, epoch_at=16, lost=frozenset({3}), delay_seed=2)], **stop_after(where))
    resumed = record(out, jobs(), resume=True)
    assert resumed.cameras[0].progress == whole.cameras[0].progress
    assert differing_files(tmp_path / "whole.zarr", out) == []


def test_resume_starts_where_there_is_nothing(tmp_path: Path) -> None:
    stillborn = tmp_path / "drive.zarr"
    stillborn.mkdir()
    (stillborn / "zarr.json.partial").write_text("{")
    assert record(stillborn, [scripted_job(frames=9)], resume=True).exit_code == 0


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda c: replace(c, tracker=IouTrackerConfig(overlap_min=0.3)),
            r"config\.tracker\.overlap_min was 0\.2, now 0\.3",
        ),
        (
            lambda c: replace(c, engine=replace(c.engine, weights="resnet50")),
            r"config\.engine\.weights was lite, now resn",
        ),
        (
            lambda c: replace(c, engine=replace(c.engine, precision="fp16")),
            r"config\.engine\.precision was not set, now fp16",
        ),
        (lambda c: replace(c, max_frames=20), r"config\.max_frames was None, now 20"),
    ],
)
def test_other_settings_are_refused_by_name(
    tmp_path: Path, change: Callable[[RunConfig], RunConfig], names: str
) -> None:
    out = tmp_path / "drive.zarr"
    record(out, [scripted_job(frames=40, delay_seed=1)], **stop_after(10))
    before = len(open_drive(out)["front"])
    with pytest.raises(StoreResumeError, match=names) as caught:
        record(out, [scripted_job(frames=40)], change(CONFIG), resume=True)
    assert caught.value.exit_code == 2
    assert len(open_drive(out)["front"]) == before


def test_another_source_or_engine_is_refused_and_other_threads_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "drive.zarr"
    record(out, [scripted_job(frames=40, delay_seed=1)], **stop_after(10))
    with pytest.raises(StoreResumeError, match=r"sources\.front\.frames was 40, now 41"):
        record(out, [scripted_job(frames=41)], resume=True)
    other = bright_segmenter()
    monkeypatch.setattr(type(other), "info", replace(other.info, engine="another"))
    with pytest.raises(StoreResumeError, match=r"engine\.engine was .*, now another"):
        record(out, [scripted_job(frames=40)], resume=True)
    monkeypatch.undo()
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())
    threads = replace(CONFIG, engine=replace(CONFIG.engine, threads=1))
    assert record(out, [scripted_job(frames=40)], threads, resume=True).exit_code == 0


def test_a_mask_image_that_was_painted_over_is_noticed(tmp_path: Path) -> None:
    out, mask = tmp_path / "drive.zarr", tmp_path / "bonnet.png"
    cv2.imwrite(str(mask), np.zeros((8, 8), np.uint8))
    config = replace(CONFIG, ignore={"front": str(mask)})
    record(out, [scripted_job(frames=40, delay_seed=1)], config, **stop_after(10))
    cv2.imwrite(str(mask), np.full((8, 8), 255, np.uint8))
    with pytest.raises(StoreResumeError, match=r"config\.ignore\.front was .*bonnet\.png sha256:"):
        record(out, [scripted_job(frames=40)], config, resume=True)


def test_an_overlay_cannot_be_resumed(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    record(out, [scripted_job(frames=40, delay_seed=1)], **stop_after(10))
    with pytest.raises(InputError, match="without --overlay"):
        record(out, [scripted_job(frames=40, overlay=tmp_path / "masks.mp4")], resume=True)


def test_a_store_without_the_trackers_state_is_refused(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        writer.start_epoch(0, (24, 40), "media")
        for n, tracks in enumerate(street(8)):
            writer.append(n, n * FRAME_NS, tracks)
        writer.suspend()
    with pytest.raises(StoreResumeError, match="state of the tracker"):
        CameraWriter(tmp_path / "drive.zarr", "front", SMALL, resume=True)
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) == 8


def test_a_writer_that_lost_its_lock_writes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with create(path) as store, CameraWriter(store.path, "front", SMALL) as old:
        old.start_epoch(0, (24, 40), "media")
        drive = street(8)
        for n, tracks in enumerate(drive[:7]):
            old.append(n, n * FRAME_NS, tracks)
        (path / "front/.writer.lock").unlink()  # somebody is sure that the old writer is gone
        with CameraWriter(path, "front", SMALL, resume=True) as new:
            before = (path / "front/zarr.json").read_bytes()
            with pytest.raises(StoreLockedError, match=r"took over .*: process"):
                old.append(7, 7 * FRAME_NS, drive[7])
            assert (path / "front/zarr.json").read_bytes() == before
            old.abandon()
            assert (path / "front/.writer.lock").exists()  # the new one's
            assert new.ledger.stored == 0
