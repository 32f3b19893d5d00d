"""Cameras to the end of their sources: what is stored, what is counted, and that both ways to run agree."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray

from roadmask.engines import Segmenter
from roadmask.engines.errors import InputError, LedgerError, RunError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.recording.result import RunResult
from roadmask.streaming.store import open_drive
from roadmask.tracking import IouTrackerConfig
from support.compare_stores import differing_files
from support.drives import bright_segmenter, deadly, scripted_job

CONFIG = RunConfig(tracker=IouTrackerConfig(keep_lost_s=2.0))


def record(
    out: Path,
    jobs: Sequence[CameraJob],
    *,
    on_ray: bool = False,
    build: Callable[[], Segmenter] = bright_segmenter,
    **options: Any,
) -> RunResult:
    return record_drive(jobs, out, CONFIG, on_ray=on_ray, build=build, **options)


def test_stores_every_frame_and_the_one_track(tmp_path: Path) -> None:
    result = record(tmp_path / "drive.zarr", [scripted_job(frames=30)])
    assert result.exit_code == 0
    front = open_drive(tmp_path / "drive.zarr")["front"]
    assert len(front) == 30
    (track,) = front.tracks()
    # back-filled: the track has its id from the first frame, before it was believed
    assert (track.first_position, track.frames) == (0, 30)
    assert front.id_map(0).max() == track.track_id


def test_counts_frames_that_gave_no_image_or_no_result(tmp_path: Path) -> None:
    job = scripted_job(frames=20, lost=frozenset({3, 4}), poisoned=frozenset({9}))
    result = record(tmp_path / "drive.zarr", [job])
    ledger = result.cameras[0].ledger
    assert (ledger.captured, ledger.stored, ledger.failed) == (20, 17, {"decode": 2, "engine": 1})
    assert result.exit_code == 3
    assert "poisoned" in next(iter(result.cameras[0].failures))
    assert [open_drive(tmp_path / "drive.zarr")["front"].frame(i).frame_index for i in (2, 3)] == [2, 5]


def test_a_poisoned_image_takes_no_other_camera_with_it(tmp_path: Path) -> None:
    jobs = [scripted_job("front", frames=10, poisoned=frozenset({5})), scripted_job("rear", frames=10)]
    result = record(tmp_path / "drive.zarr", jobs)
    assert [camera.ledger.stored for camera in result.cameras] == [9, 10]


@pytest.mark.parametrize("on_ray", [False, True])
def test_a_frame_that_goes_missing_fails_the_run(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    with pytest.raises(LedgerError, match="1 frames went missing"):
        record(tmp_path / "drive.zarr", [scripted_job(frames=12, swallowed=frozenset({6}))], on_ray=on_ray)
    # what came is stored all the same
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) == 11


@pytest.mark.parametrize("ends", [{"breaks_at": 9}, {"frames": 4000, "delay_seed": 1}])
def test_a_frame_that_goes_missing_is_noticed_when_the_run_ends_early(tmp_path: Path, ends: dict[str, Any]) -> None:
    stop = threading.Event()

    def stop_soon(progress: dict[str, Any]) -> None:
        if progress["front"].frames >= 8:
            stop.set()

    job = scripted_job(swallowed=frozenset({6}), **ends)
    with pytest.raises(LedgerError, match="1 frames went missing"):
        record(tmp_path / "drive.zarr", [job], stop=stop, on_progress=stop_soon)


def test_a_camera_that_fails_does_not_take_the_others_ending(tmp_path: Path) -> None:
    jobs = [scripted_job("front", frames=12, swallowed=frozenset({6})), scripted_job("rear", frames=12)]
    with pytest.raises(LedgerError, match="'front'"):
        record(tmp_path / "drive.zarr", jobs)
    assert open_drive(tmp_path / "drive.zarr")["rear"].complete


def test_a_segmenter_that_dies_on_ray_ends_the_run_with_one_line(tmp_path: Path, cluster: None) -> None:
    with pytest.raises(RunError, match="a process of the run died") as raised:
        record(tmp_path / "drive.zarr", [scripted_job(frames=40, poisoned=frozenset({20}))], on_ray=True, build=deadly)
    assert "\n" not in str(raised.value)


def test_ray_that_does_not_start_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: Any) -> None:
        raise Exception("The current node timed out during startup.")  # noqa: TRY002 - as Ray raises it

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(RunError, match=r"Ray did not start \(The current node timed out .* --no-ray"):
        record(tmp_path / "drive.zarr", [scripted_job()], on_ray=True)


def test_what_the_actors_log_is_logged_here(
    tmp_path: Path, cluster: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
    record(tmp_path / "drive.zarr", [scripted_job(frames=12, poisoned=frozenset({3}))], on_ray=True)
    assert "the engine failed on an image: the image is poisoned" in caplog.text


def test_a_frame_lost_in_the_readers_queue_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import queue

    put, seen = queue.Queue.put, []

    def lossy(self: Any, item: Any, *rest: Any, **named: Any) -> None:
        if isinstance(item, Frame | LostFrame):  # others in this process have queues, too
            seen.append(item)
            if len(seen) == 5:
                return
        put(self, item, *rest, **named)

    monkeypatch.setattr("roadmask.streaming.recording.reader.queue.Queue.put", lossy)
    with pytest.raises(LedgerError, match="1 frames went missing"):
        record(tmp_path / "drive.zarr", [scripted_job(frames=12)])


@pytest.mark.parametrize("on_ray", [False, True])
def test_a_source_that_breaks_keeps_what_came_before(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    jobs = [scripted_job("front", frames=10, breaks_at=6), scripted_job("rear", frames=10)]
    result = record(tmp_path / "drive.zarr", jobs, on_ray=on_ray)
    assert [camera.ledger.stored for camera in result.cameras] == [6, 10]
    assert "broke at frame 6" in str(result.cameras[0].problem)
    assert result.exit_code == 3


@pytest.mark.parametrize("on_ray", [False, True])
def test_an_error_while_recording_ends_the_run_with_its_own_type(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    with pytest.raises(InputError, match="expected a frame later") as raised:
        record(tmp_path / "drive.zarr", [scripted_job(frames=20, stuck_at=10)], on_ray=on_ray)
    assert "\n" not in str(raised.value)  # its own words, not a traceback of another process
    # what came before is stored
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) >= 8


def test_a_new_resolution_starts_an_epoch_and_ids_go_on(tmp_path: Path) -> None:
    record(tmp_path / "drive.zarr", [scripted_job(frames=20, epoch_at=12, image_size=(48, 192))])
    front = open_drive(tmp_path / "drive.zarr")["front"]
    assert [(len(epoch), epoch.info.image_size) for epoch in front.epochs] == [(12, (48, 192)), (8, (24, 96))]
    assert [track.track_id for track in front.tracks()] == [1, 2]


@pytest.mark.parametrize("on_ray", [False, True])
def test_stopping_early_stores_what_was_read(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    stop = threading.Event()

    def stop_soon(progress: dict[str, Any]) -> None:
        if progress["front"].frames >= 3:
            stop.set()

    job = scripted_job(frames=4000, delay_seed=1)
    result = record(tmp_path / "drive.zarr", [job], on_ray=on_ray, stop=stop, on_progress=stop_soon)
    assert result.exit_code == 130
    ledger = result.cameras[0].ledger
    assert 3 <= ledger.stored == ledger.captured < 4000


def test_in_process_and_ray_store_the_same_bytes(tmp_path: Path, cluster: None) -> None:
    # different rates, lengths, losses and epochs; delays vary who shares a batch with whom
    scripts: dict[str, dict[str, Any]] = {
        "front": {"frames": 60, "fps": 25.0, "lost": frozenset({7}), "epoch_at": 40},
        "rear": {"frames": 31, "fps": 10.0, "poisoned": frozenset({11})},
    }
    record(tmp_path / "one.zarr", [scripted_job(name, **script) for name, script in scripts.items()])
    for seed in (1, 2):
        jobs = [scripted_job(name, delay_seed=seed, **script) for name, script in scripts.items()]
        record(tmp_path / f"ray{seed}.zarr", jobs, on_ray=True)
        assert differing_files(tmp_path / "one.zarr", tmp_path / f"ray{seed}.zarr") == []
