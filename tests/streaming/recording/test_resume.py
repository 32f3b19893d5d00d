"""A run that was interrupted is resumed at its last commit, and ends with the bytes of one that was not."""

from __future__ import annotations

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
from roadmask.streaming.store import CameraWriter, open_drive
from roadmask.tracking import IouTrackerConfig
from support.compare_stores import differing_files
from support.drives import bright_segmenter, scripted_job
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
    unfinished = tmp_path / "drive.zarr"
    unfinished.mkdir()
    (unfinished / "zarr.json.partial").write_text("{")
    assert record(unfinished, [scripted_job(frames=9)], resume=True).exit_code == 0


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda c: replace(c, tracker=IouTrackerConfig(overlap_min=0.3)),
            r"config\.tracker\.overlap_min was 0\.2, is now 0\.3",
        ),
        (
            lambda c: replace(c, engine=replace(c.engine, weights="resnet50")),
            r"config\.engine\.weights was lite, is now resn",
        ),
        (
            lambda c: replace(c, engine=replace(c.engine, precision="fp16")),
            r"config\.engine\.precision was not set, is now fp16",
        ),
        (lambda c: replace(c, max_frames=20), r"config\.max_frames was None, is now 20"),
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
    with pytest.raises(StoreResumeError, match=r"sources\.front\.frames was 40, is now 41"):
        record(out, [scripted_job(frames=41)], resume=True)
    other = bright_segmenter()
    monkeypatch.setattr(type(other), "info", replace(other.info, engine="another"))
    with pytest.raises(StoreResumeError, match=r"engine\.engine was .*, is now another"):
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
