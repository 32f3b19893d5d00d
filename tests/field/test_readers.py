"""What programs do with stores and recordings: copy readers to workers, rename files, train on what was exported."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError, PositionError, StoreResumeError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import RunResult
from roadmask.streaming.sources import open_camera
from roadmask.streaming.store import CameraReader, CameraWriter, Drive, StoredFrame, open_drive
from support.compare_stores import differing_files
from support.drives import bright_segmenter
from support.stores import SMALL, create, street
from support.video_factory import number_of, numbered_image, write_clip

FRAMES = 24


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A camera with two epochs of 12 frames, the second of larger images."""
    path = tmp_path / "drive.zarr"
    with create(path), CameraWriter(path, "front", SMALL) as writer:
        for epoch, size in enumerate(((24, 40), (30, 60))):
            writer.start_epoch(epoch, size, "media")
            for n, tracks in enumerate(street(12, size), epoch * 12):
                writer.append(2 * n, n * 40_000_000, tracks)
    return path


def essence(frame: StoredFrame) -> tuple[Any, ...]:
    assert frame.instances.masks is not None
    return frame.position, frame.frame_index, frame.timestamp_ns, frame.instances.masks.to_rle().counts


def read_all(camera: CameraReader) -> None:
    """Fills every cache of a reader."""
    for position in range(len(camera)):
        camera.frame(position)
    camera.tracks()
    assert camera.epochs[0].rle_offsets.size


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_copy_of_a_reader_reads_the_same(drive: Path, used: bool) -> None:
    opened = open_drive(drive)
    if used:
        read_all(opened["front"])
    whole: Drive = pickle.loads(pickle.dumps(opened))  # noqa: S301 - its own bytes
    camera: CameraReader = pickle.loads(pickle.dumps(opened["front"]))  # noqa: S301
    assert list(whole) == ["front"]
    for copy in (whole["front"], camera):
        assert len(copy) == FRAMES
        assert copy.ledger == opened["front"].ledger
        assert copy.tracks() == opened["front"].tracks()
        for position in (0, 11, 12, 23):
            assert essence(copy.frame(position)) == essence(opened["front"].frame(position))
            np.testing.assert_array_equal(copy.id_map(position), opened["front"].id_map(position))


def test_a_copy_holds_nothing_that_was_read(drive: Path) -> None:
    camera = open_drive(drive)["front"]
    before = len(pickle.dumps(camera))
    read_all(camera)
    assert len(pickle.dumps(camera)) < before + 500, "only how many bytes were read"


def test_a_process_that_gets_a_reader_reads_from_it(drive: Path) -> None:
    camera = open_drive(drive)["front"]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert essence(pool.submit(camera.frame, 13).result(timeout=120)) == essence(camera.frame(13))


def test_a_camera_is_a_sequence_of_its_frames(drive: Path) -> None:
    camera = open_drive(drive)["front"]
    assert [frame.position for frame in camera] == list(range(FRAMES))
    assert [frame.frame_index for frame in camera] == [2 * n for n in range(FRAMES)]
    assert [frame.position for frame in reversed(camera)] == list(range(FRAMES))[::-1]
    for position in (-1, -12, -13, -24):
        assert camera.frame(position).position == camera[position].position == FRAMES + position
        np.testing.assert_array_equal(camera.id_map(position), camera.id_map(FRAMES + position))
    assert camera[np.int64(-1)].position == FRAMES - 1


@pytest.mark.parametrize("position", [24, -25])
def test_a_position_without_a_frame_is_an_index_error(drive: Path, position: int) -> None:
    camera = open_drive(drive)["front"]
    for read in (camera.frame, camera.id_map, camera.__getitem__):
        with pytest.raises(PositionError, match="from -24 to 23, got position") as refused:
            read(position)
        assert isinstance(refused.value, IndexError)
        assert isinstance(refused.value, InputError)


def test_a_camera_without_frames_is_an_empty_sequence(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with create(path), CameraWriter(path, "front", SMALL) as writer:
        writer.start_epoch(0, (24, 40), "media")
    camera = open_drive(path)["front"]
    assert list(camera) == []
    with pytest.raises(PositionError, match="a camera with frames"):
        camera.frame(-1)


# Files that were renamed


def write_recording(path: Path, kind: str) -> Path:
    """A video, or a folder of images."""
    if kind == "video":
        return write_clip(path.with_suffix(".mp4"), range(FRAMES))
    path.mkdir()
    for n in range(FRAMES):
        cv2.imwrite(str(path / f"image{n}.png"), numbered_image(n)[..., ::-1])
    return path


def rename(recording: Path, kind: str) -> Path:
    """Renames what a store was recorded from, and the images in it."""
    if kind == "images":
        for n in range(FRAMES):
            (recording / f"image{n}.png").rename(recording / f"{n:06d}.png")
    return recording.rename(recording.with_name("renamed" + recording.suffix))


def run(source: Path, out: Path, **options: Any) -> RunResult:
    return record_drive({"front": source}, out, RunConfig(store=SMALL), build=bright_segmenter, **options)


def stop_after(frames: int) -> dict[str, Any]:
    stop = threading.Event()
    return {"stop": stop, "on_progress": lambda progress: stop.set() if progress["front"].frames >= frames else None}


@pytest.mark.parametrize("kind", ["video", "images"])
def test_the_same_bytes_under_another_name_resume_a_run(tmp_path: Path, kind: str) -> None:
    recording = write_recording(tmp_path / "drive", kind)
    run(recording, tmp_path / "whole.zarr")
    out = tmp_path / "drive.zarr"
    assert run(recording, out, **stop_after(5)).interrupted
    resumed = run(rename(recording, kind), out, resume=True)
    assert resumed.cameras[0].ledger.stored == FRAMES
    assert differing_files(tmp_path / "whole.zarr", out) == []


@pytest.mark.parametrize("kind", ["video", "images"])
def test_the_same_bytes_under_another_name_are_exported(tmp_path: Path, kind: str) -> None:
    recording = write_recording(tmp_path / "drive", kind)
    run(recording, tmp_path / "drive.zarr")
    renamed = rename(recording, kind)
    job = ExportJob(open_drive(tmp_path / "drive.zarr"), sources={"front": (str(renamed),)})
    export_drive(job, "video", str(tmp_path / "out.mp4"))
    with open_camera("out", [str(tmp_path / "out.mp4")]) as video:
        assert len(list(video)) == FRAMES


@pytest.mark.parametrize("kind", ["video", "images"])
def test_other_bytes_under_the_same_name_are_refused(tmp_path: Path, kind: str) -> None:
    recording = write_recording(tmp_path / "drive", kind)
    out = tmp_path / "drive.zarr"
    assert run(recording, out, **stop_after(5)).interrupted
    if kind == "video":
        write_clip(recording, range(1, FRAMES + 1))
    else:
        cv2.imwrite(str(recording / "image3.png"), numbered_image(200))
    with pytest.raises(StoreResumeError, match="sha256"):
        run(recording, out, resume=True)
    job = ExportJob(open_drive(out), sources={"front": (str(recording),)})
    with pytest.raises(InputError, match="with other content"):
        export_drive(job, "video", str(tmp_path / "out.mp4"))


def test_a_run_of_other_cameras_says_how_to_name_them(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "drive", "video")
    out = tmp_path / "drive.zarr"
    run(recording, out, **stop_after(5))
    with pytest.raises(StoreResumeError, match=r"other cameras: expected front, got renamed.* such as front=VIDEO"):
        record_drive(rename(recording, "video"), out, RunConfig(store=SMALL), build=bright_segmenter, resume=True)


# COCO with its images


@pytest.mark.parametrize("anonymize", [False, True])
def test_coco_with_images_holds_the_images_that_it_names(tmp_path: Path, anonymize: bool) -> None:
    recording = write_recording(tmp_path / "drive", "video")
    run(recording, tmp_path / "drive.zarr")
    out = tmp_path / "coco" / "drive.json"
    job = ExportJob(open_drive(tmp_path / "drive.zarr"), image_files=True, anonymize=anonymize)
    export_drive(job, "coco", str(out))
    images = json.loads(out.read_text())["images"]
    assert len(images) == FRAMES
    for n, described in enumerate(images):
        image = cv2.imread(str(out.parent / described["file_name"]))
        assert image.shape[:2] == (described["height"], described["width"])
        assert anonymize or number_of(image) == n
    assert {path.name for path in out.parent.iterdir()} == {"drive.json", "front"}
    assert len(list((out.parent / "front").iterdir())) == FRAMES


def test_coco_with_images_overwrites_nothing_and_leaves_nothing_half(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "drive", "video")
    run(recording, tmp_path / "drive.zarr")
    job = ExportJob(open_drive(tmp_path / "drive.zarr"), image_files=True)
    (tmp_path / "taken" / "front").mkdir(parents=True)
    with pytest.raises(InputError, match="front already exists"):
        export_drive(job, "coco", str(tmp_path / "taken" / "drive.json"))
    recording.unlink()
    with pytest.raises(InputError, match="give their place with --source front=PATH"):
        export_drive(job, "coco", str(tmp_path / "coco" / "drive.json"))
    assert not any((tmp_path / "coco").iterdir())


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("rle-jsonl", "out.jsonl", "rle-jsonl names no images to write: export to coco, or leave out --images"),
        ("coco", "memory://drive.json", "expected a path for an export with images"),
    ],
)
def test_images_that_cannot_be_written_are_refused(drive: Path, name: str, out: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_drive(ExportJob(open_drive(drive), image_files=True), name, out)
