"""Cameras on one axis of time, and their tracks on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roadmask.streaming.store import CameraReader, CameraWriter, open_drive
from roadmask.viewing.timeline import camera_fields, chosen_tracks, place_cameras
from support.recorded_drive import CROSSING, FRAME_MS, FRAMES
from support.stores import create, tracks_of

SECOND = 1_000_000_000
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class FakeEpoch:
    timestamp_ns: np.ndarray
    info: Any

    def __len__(self) -> int:
        return len(self.timestamp_ns)


@dataclass
class FakeCamera:
    epochs: list[FakeEpoch]
    recording_start: datetime | None
    wall_clock = CameraReader.wall_clock

    def __len__(self) -> int:
        return sum(map(len, self.epochs))


def camera(start_s: float, frames: int, clock: str = "unix", recorded: datetime | None = None) -> Any:
    """A camera of ten frames a second."""
    stamps = np.array([round((start_s + n / 10) * SECOND) for n in range(frames)], np.int64)
    return FakeCamera([FakeEpoch(stamps, SimpleNamespace(clock=clock, epoch=0))], recorded)


def starts(**cameras: Any) -> dict[str, int]:
    return {name: int(times.at_ms[0]) for name, times in place_cameras(cameras).items()}


def test_cameras_on_one_clock_keep_their_distance() -> None:
    assert starts(a=camera(1000.0, 50), b=camera(1002.5, 50)) == {"a": 0, "b": 2500}
    assert starts(a=camera(1.0, 50, "media", NOON), b=camera(0.0, 50, "media", NOON)) == {"a": 1000, "b": 0}
    assert starts(a=camera(0.0, 50, "media"), b=camera(60.0, 50, "media")) == {"a": 0, "b": 60_000}  # one after another


@pytest.mark.parametrize(
    "other",
    [
        camera(9000.0, 50),  # hours later: an axis of hours would show nothing
        camera(1000.0, 50, "monotonic"),
        camera(1000.0, 50, "media"),
    ],
)
def test_cameras_that_cannot_be_compared_begin_together(other: Any) -> None:
    assert starts(a=camera(1000.0, 50), b=other) == {"a": 0, "b": 0}


def test_the_wall_clock_is_told_where_it_is_known() -> None:
    noon_ms = round(NOON.timestamp() * 1000)
    placed = place_cameras({"a": camera(2.0, 50, "media", NOON), "b": camera(3.0, 50, "media", NOON)})
    assert [placed[name].wall_ms for name in "ab"] == [noon_ms + 2000] * 2
    assert place_cameras({"a": camera(2.0, 50, "media")})["a"].wall_ms is None
    assert place_cameras({"a": camera(2.0, 50, "unix")})["a"].wall_ms == 2000


def test_fields_of_a_camera(recorded: Path) -> None:
    drive = open_drive(recorded)
    times = place_cameras(drive)
    fields = camera_fields(drive["front"], times["front"], 7)
    assert fields["first_key"] == 7
    assert fields["at"] == [FRAME_MS * index for index in range(FRAMES)]
    assert fields["frame_index"] is None
    assert fields["ledger"] == {"captured": FRAMES, "stored": FRAMES, "dropped": {}, "failed": {}}
    car, pedestrian = fields["tracks"]
    assert (car["label"], car["frames"], car["spans"]) == ("car", FRAMES, [[0, FRAMES * FRAME_MS]])
    assert pedestrian["label"] == "pedestrian"
    assert pedestrian["spans"] == [[CROSSING[0] * FRAME_MS, (CROSSING[-1] + 1) * FRAME_MS]]
    assert pedestrian["seconds"] == 1.0
    rear = camera_fields(drive["rear"], times["rear"], 1)
    assert rear["step"] == 200


def test_lost_frames_keep_their_frame_index(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front") as writer:
        writer.start_epoch(0, (24, 40), "media")
        for index in (0, 1, 4):
            writer.append(index, index * 100_000_000, tracks_of((24, 40), [(2, 2, 9, 9)], [5]))
        writer.count_lost("failed", "decode")
        writer.count_lost("failed", "decode")
        writer.close(captured=5)
    front: CameraReader = open_drive(tmp_path / "drive.zarr")["front"]
    fields = camera_fields(front, place_cameras({"front": front})["front"], 1)
    assert fields["frame_index"] == [0, 1, 4]
    assert fields["at"] == [0, 100, 400]


def test_a_filter_is_by_class_and_length(recorded: Path) -> None:
    drive = open_drive(recorded)
    tracks = camera_fields(drive["front"], place_cameras(drive)["front"], 1)["tracks"]
    car, pedestrian = (track["id"] for track in tracks)
    assert chosen_tracks(tracks, None, 0.0).tolist() == sorted([car, pedestrian])
    assert chosen_tracks(tracks, frozenset({"car"}), 0.0).tolist() == [car]
    assert chosen_tracks(tracks, None, 1.5).tolist() == [car]
    assert chosen_tracks(tracks, frozenset({"bus"}), 0.0).tolist() == []
