"""The library call: what it takes, what it tells on the way, and what its sinks receive."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadmask.engines.errors import EngineError, InputError, SourceError, StoreError, StoreExistsError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob, camera_jobs
from roadmask.streaming.sinks.sink import BaseSink, CameraDescription, TrackedFrame
from roadmask.streaming.sources import decoder
from roadmask.streaming.store import open_drive
from support.drives import bright_segmenter, built_outside, counting_sinks, scripted_job
from support.video_factory import write_clip

TWO = [("front", ("a.mp4",)), ("rear", ("b.mp4", "c.mp4"))]


class Recording(BaseSink):
    """Keeps what it was told, and fails at a frame if asked to."""

    def __init__(self, camera: str = "front", *, needs_image: bool = False, fails_at: int | None = None) -> None:
        self.camera = camera
        self.needs_image = needs_image
        self.fails_at = fails_at
        self.calls: list[Any] = []
        self.frames: list[TrackedFrame] = []

    def open(self, camera: str, description: CameraDescription) -> None:
        self.calls.append(("open", camera, dict(description.class_names), dict(description.source)))

    def write(self, tracked: TrackedFrame) -> None:
        if tracked.frame.frame_index == self.fails_at:
            raise StoreError("the disk is full: make room.")
        self.calls.append(tracked.frame.frame_index)
        self.frames.append(tracked)

    def lost(self, item: LostFrame) -> None:
        self.calls.append((item.frame_index, item.reason))

    def close(self, captured: int | None) -> None:
        self.calls.append(("close", captured))

    def abort(self) -> None:
        self.calls.append("abort")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "drive.mp4")


def test_a_camera_and_its_file_are_all_it_needs(video: Path, tmp_path: Path) -> None:
    result = record_drive({"front": str(video)}, str(tmp_path / "drive.zarr"), build=bright_segmenter)
    assert (result.exit_code, result.cameras[0].ledger.stored) == (0, 12)
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) == 12


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"front": "a.mp4"}, [("front", ("a.mp4",))]),
        ({"front": Path("a.mp4"), "rear": ["b.mp4", Path("c.mp4")]}, TWO),
        (["front=a.mp4", "rear=b.mp4", "rear=c.mp4"], TWO),
        ("drive.mp4", [("drive", ("drive.mp4",))]),
        ([CameraJob("front", ("a.mp4",))], [("front", ("a.mp4",))]),
    ],
)
def test_sources_are_given_by_camera_or_as_typed_or_as_jobs(sources: Any, expected: list[Any]) -> None:
    assert [(job.camera, job.specs) for job in camera_jobs(sources)] == expected


def test_no_source_is_refused() -> None:
    for nothing in ([], {}):
        with pytest.raises(InputError, match="at least one source"):
            camera_jobs(nothing)


def test_each_camera_has_an_overlay_of_its_own() -> None:
    jobs = camera_jobs({"front": "a.mp4", "rear": "b.mp4"}, Path("out/masks.mp4"))
    assert [job.overlay for job in jobs] == [Path("out/masks.front.mp4"), Path("out/masks.rear.mp4")]
    (job,) = camera_jobs({"front": "a.mp4"}, Path("masks.mp4"))
    assert job.overlay == Path("masks.mp4")


def test_sinks_of_a_run_come_after_those_of_a_job() -> None:
    own, further = Recording(), Recording()
    (job,) = camera_jobs([CameraJob("front", ("a.mp4",), sinks=lambda _: [own])], sinks=lambda _: [further])
    assert list(job.sinks("front")) == [own, further]


def test_progress_begins_before_anything_is_written(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(progress: Any) -> None:
        front = progress["front"]
        seen.append((front.frames, front.frames_expected, dict(front.tracks), (tmp_path / "drive.zarr").exists()))

    source = "synthetic:?seconds=1"
    config = RunConfig(max_frames=5)
    record_drive({"front": source}, tmp_path / "drive.zarr", config, build=bright_segmenter, on_progress=look)
    assert seen[0] == (0, 5, {}, False)
    assert [frames for frames, *_ in seen[1:]] == [1, 2, 3, 4, 5, 5]
    assert {expected for _, expected, *_ in seen} == {5}


def test_the_first_image_is_decoded_once(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    start = decoder.PacketDecoder.__init__

    def counted(self: Any, *args: Any, **named: Any) -> None:
        made.append(self)
        start(self, *args, **named)

    monkeypatch.setattr(decoder.PacketDecoder, "__init__", counted)
    record_drive({"front": video}, tmp_path / "drive.zarr", build=bright_segmenter)
    assert len(made) == 1


@pytest.mark.parametrize("on_ray", [False, True])
def test_sinks_receive_what_is_stored(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    job = scripted_job(frames=14, lost=frozenset({3}), poisoned=frozenset({9}))
    recording = Recording(needs_image=True)
    sinks = partial(counting_sinks, tmp_path) if on_ray else lambda _: [recording]
    record_drive([job], tmp_path / "drive.zarr", build=bright_segmenter, on_ray=on_ray, sinks=sinks)
    stored = open_drive(tmp_path / "drive.zarr")["front"]
    if on_ray:  # in the process of the recorder
        assert (tmp_path / "front.txt").read_text() == f"{len(stored)} frames of 14"
        return
    described = {"kind": "scripted", "frames": 14}
    assert recording.calls[0] == ("open", "front", bright_segmenter().info.class_names, described)
    assert recording.calls[1:] == [0, 1, 2, (3, "decode"), 4, 5, 6, 7, 8, (9, "engine"), 10, 11, 12, 13, ("close", 14)]
    for position, tracked in enumerate(recording.frames):
        frame = stored.frame(position)
        np.testing.assert_array_equal(tracked.tracks.track_ids, frame.track_ids)
        assert tracked.frame.timestamp_ns == frame.timestamp_ns
        assert tracked.frame.image.max() == 200  # the car


def test_pixels_are_released_where_no_sink_needs_them(tmp_path: Path) -> None:
    recording = Recording()
    record_drive([scripted_job(frames=4)], tmp_path / "d.zarr", build=bright_segmenter, sinks=lambda _: [recording])
    frame = recording.frames[0].frame
    assert (frame.image_size, frame.image.max(), frame.image.base.nbytes) == ((48, 96), 0, 1)


def test_a_sink_that_fails_ends_the_run_and_aborts_the_others(tmp_path: Path) -> None:
    failing, other = Recording(fails_at=6), Recording()
    job = scripted_job(frames=12, overlay=tmp_path / "masks.mp4")
    with pytest.raises(StoreError, match="the disk is full"):
        record_drive([job], tmp_path / "d.zarr", build=bright_segmenter, sinks=lambda _: [other, failing])
    assert (failing.calls[-1], other.calls[-1]) == ("abort", "abort")
    assert len(open_drive(tmp_path / "d.zarr")["front"]) == 7  # the store comes first, and keeps what it has
    assert list(tmp_path.glob("*.mp4*")) == []


def test_a_sink_that_does_not_open_leaves_the_store_free(tmp_path: Path) -> None:
    class Closed(Recording):
        def open(self, _camera: str, _description: CameraDescription) -> None:
            raise InputError("no such place: choose another.")

    jobs, out = [scripted_job(frames=6)], tmp_path / "d.zarr"
    with pytest.raises(InputError, match="no such place"):
        record_drive(jobs, out, build=bright_segmenter, sinks=lambda _: [Closed()])
    assert record_drive(jobs, out, build=bright_segmenter, resume=True).exit_code == 0


def test_on_ray_the_engine_is_built_in_its_own_process_only(tmp_path: Path, cluster: None) -> None:
    build = partial(built_outside, os.getpid())
    result = record_drive([scripted_job(frames=9)], tmp_path / "d.zarr", build=build, on_ray=True)
    assert result.cameras[0].ledger.stored == 9


@pytest.mark.parametrize("on_ray", [False, True])
def test_an_engine_that_cannot_be_built_leaves_nothing(tmp_path: Path, cluster: None, on_ray: bool) -> None:
    with pytest.raises(EngineError, match=r"^expected to be built in another process"):
        record_drive([scripted_job()], tmp_path / "d.zarr", build=partial(built_outside, None), on_ray=on_ray)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arrange", "error", "message"),
    [
        (lambda folder: (folder / "d.zarr").mkdir(), StoreExistsError, "d.zarr"),
        (lambda folder: (folder / "front.mp4").unlink(), SourceError, "front.mp4"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    video: Path, tmp_path: Path, arrange: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    video.rename(tmp_path / "front.mp4")
    arrange(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        record_drive({"front": tmp_path / "front.mp4"}, tmp_path / "d.zarr", build=bright_segmenter)
    assert sorted(tmp_path.rglob("*")) == before
