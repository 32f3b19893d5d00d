"""Where the images of a stored camera are found, and what is said if they are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.store import open_drive
from roadmask.viewing.images import CameraImages, ImageState
from roadmask.viewing.seeking import SeekingVideo
from support.recorded_drive import SIZE, scene, write_video

NONE = (np.zeros(0, np.int64), np.zeros(0, np.int64))
"""No stored frames."""


def state_of(store: Path, camera: str, *folders: Path, given: tuple[str, ...] = ()) -> tuple[CameraImages, ImageState]:
    drive = open_drive(store)
    (epoch,) = drive[camera].epochs
    frames = epoch.frame_index, epoch.timestamp_ns
    images = CameraImages(camera, drive.attributes["sources"][camera], given, folders, frames)
    images.start()
    return images, images.wait()


@pytest.mark.parametrize("camera", ["front", "rear"])
def test_recordings_are_found_beside_the_store(recorded: Path, tmp_path: Path, camera: str) -> None:
    images, state = state_of(recorded, camera, tmp_path, recorded.parent)
    assert state.kind == "shown"
    assert str(recorded.parent) in state.detail
    seen = images.image_at(6, SIZE)
    assert seen is not None
    expected = scene(6 if camera == "front" else 12)
    assert np.abs(seen.astype(int) - expected).mean() < 8
    assert images.image_at(6, (48, 64)) is None  # no masks of another size are drawn on it
    assert images.image_at(1000, SIZE) is None if camera == "front" else True
    images.close()


def test_a_video_whose_frames_do_not_agree_with_the_store_is_read_from_its_beginning(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SeekingVideo, "agrees", lambda *_: False)
    monkeypatch.setattr(SeekingVideo, "image_at", lambda *_: pytest.fail("it would show other frames"))
    images, state = state_of(recorded, "front", recorded.parent)
    assert state.kind == "shown"
    for index in (9, 3):  # forth and back
        seen = images.image_at(index, SIZE)
        assert seen is not None
        assert np.abs(seen.astype(int) - scene(index)).mean() < 8
    images.close()


def test_a_video_that_was_renamed_is_found_by_its_hash(recorded: Path, tmp_path: Path) -> None:
    shutil.copy(recorded.parent / "front.mp4", tmp_path / "2026-03-01 holiday.mp4")
    _, state = state_of(recorded, "front", tmp_path)
    assert state == ImageState("shown", f"Images from {tmp_path / '2026-03-01 holiday.mp4'}")


def test_another_video_of_the_same_name_is_not_shown(recorded: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "front.mp4", 12)
    images, state = state_of(recorded, "front", tmp_path)
    assert state.kind == "grey"
    assert "front.mp4 is not the recording (front.mp4): its content differs" in state.detail
    assert "--source front=PATH" in state.detail
    assert images.image_at(6, SIZE) is None


def test_what_is_missing_is_said_in_one_line(recorded: Path, tmp_path: Path) -> None:
    _, state = state_of(recorded, "front", tmp_path)
    assert state == ImageState(
        "grey",
        f"Masks are drawn on grey: front.mp4 is not in {tmp_path}. Give its place with --source front=PATH.",
    )
    _, state = state_of(recorded, "front", tmp_path, given=(str(tmp_path / "gone.mp4"),))
    assert state.kind == "grey"
    assert "gone.mp4" in state.detail


def test_a_live_camera_keeps_no_images(tmp_path: Path) -> None:
    images = CameraImages("front", {"kind": "rtsp", "address": "rtsp://camera/stream"}, (), (tmp_path,), NONE)
    images.start()
    assert images.wait() == ImageState("grey", "Masks are drawn on grey: the images of a live camera are not kept.")


def test_a_source_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    images = CameraImages("front", {"kind": "lidar"}, (), (tmp_path,), NONE)
    images.start()
    assert images.wait().detail == (
        "Masks are drawn on grey: its source (lidar) is of a kind that cannot be found again."
    )


def test_the_sample_drive_is_rendered_again() -> None:
    spec = "synthetic:front?width=160&height=96&fps=5&seconds=1"
    with open_camera("front", [spec]) as source:
        frames = [frame.image for frame in source if isinstance(frame, Frame)]
        stored = source.describe()
    images = CameraImages("front", stored, (), (), NONE)
    images.start()
    assert images.wait().kind == "shown"
    assert np.array_equal(images.image_at(3, (96, 160)), frames[3])
