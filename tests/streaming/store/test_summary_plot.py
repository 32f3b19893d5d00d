from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError, StoreError
from roadmask.streaming.store import CameraWriter
from roadmask.streaming.store.summary_plot import CAMERA_IN, CLASS_COLOURS, DPI, STATE_COLOURS, plot_summary
from roadmask.tracking import Tracks
from support.stores import FRAME_NS, SMALL, create, record, street, tracks_of


def drawn(path: Path, png: Path) -> np.ndarray:
    plot_summary(path, png)
    image = cv2.imread(str(png))
    assert image is not None
    return image[..., ::-1]


def pixels_of(image: np.ndarray, colour: str) -> int:
    rgb = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    return int((image == rgb).all(axis=2).sum())


def drive_with(path: Path, cameras: dict[str, Sequence[Tracks]]) -> Path:
    with create(path) as store:
        for name, drive in cameras.items():
            writer = CameraWriter(store.path, name, SMALL)
            for epoch in range(2):
                writer.start_epoch(epoch, (24, 40), "media")
                for n, tracks in enumerate(drive):
                    writer.append(epoch * len(drive) + n, n * FRAME_NS, tracks)
            writer.count_lost("failed", "decode")
            writer.close(captured=2 * len(drive) + 1)
    return path


def test_shows_tracks_in_the_colours_of_their_classes(tmp_path: Path) -> None:
    image = drawn(record(tmp_path / "drive.zarr", street(30)), tmp_path / "one.png")
    assert all(pixels_of(image, colour) > 100 for colour in CLASS_COLOURS.values())
    assert pixels_of(image, STATE_COLOURS["stored"]) > 100
    assert pixels_of(image, STATE_COLOURS["failed"]) == 0


def test_grows_with_cameras_and_shows_lost_frames(tmp_path: Path) -> None:
    one = drawn(drive_with(tmp_path / "one.zarr", {"front": street(9)}), tmp_path / "one.png")
    cameras = {name: street(9) for name in ("front", "left", "rear")}
    three = drawn(drive_with(tmp_path / "three.zarr", cameras), tmp_path / "three.png")
    assert three.shape[0] - one.shape[0] == pytest.approx(2 * CAMERA_IN * DPI, abs=2)
    assert pixels_of(three, STATE_COLOURS["failed"]) > 2 * pixels_of(one, STATE_COLOURS["failed"]) > 0


def test_draws_drives_without_tracks_frames_or_cameras(tmp_path: Path) -> None:
    no_tracks = [tracks[:0] for tracks in street(5)]
    untracked = [tracks_of((24, 40), [(1, 1, 9, 9)], [0])]
    with create(tmp_path / "no_cameras.zarr"):
        pass
    for name, path in {
        "no_tracks": record(tmp_path / "no_tracks.zarr", no_tracks),
        "no_frames": record(tmp_path / "no_frames.zarr", []),
        "untracked": record(tmp_path / "untracked.zarr", untracked),
        "one_frame": record(tmp_path / "one_frame.zarr", street(1)),
        "no_cameras": tmp_path / "no_cameras.zarr",
    }.items():
        image = drawn(path, tmp_path / f"{name}.png")
        assert image.min() < 100  # something is written on it
        assert (pixels_of(image, CLASS_COLOURS[3]) > 100) == (name == "one_frame")


def test_says_what_cannot_be_drawn(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(1))
    with pytest.raises(InputError, match="cannot write the image"):
        plot_summary(path, tmp_path / "nowhere" / "summary.png")
    with pytest.raises(StoreError, match="found nothing"):
        plot_summary(tmp_path / "nothing.zarr", tmp_path / "summary.png")
