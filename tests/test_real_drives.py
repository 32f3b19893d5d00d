"""Real clips from start to end: everything is stored, drawn, and agrees with itself."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.store import check_drive, open_drive

FRAMES_MAX = 121
"""The highway has 221, but shows all it has to by then."""


@pytest.mark.parametrize(
    ("source", "frames", "cars", "pedestrians"),
    [
        # frames, and how many tracks of each class there are at least, counted by eye on the overlays
        pytest.param("clips/highway.mp4", FRAMES_MAX, 5, 0, marks=pytest.mark.ci),
        ("clips/freeway_near.mp4", 38, 2, 0),
        ("clips/night_crossing.mp4", 8, 1, 10),
        pytest.param("kitti_drive?fps=10", 78, 8, 0, marks=pytest.mark.ci),
    ],
)
def test_records_a_real_drive(
    data_dir: Path, tmp_path: Path, source: str, frames: int, cars: int, pedestrians: int
) -> None:
    jobs = [CameraJob("front", (str(data_dir / source),), tmp_path / "overlay.mp4")]
    config = RunConfig(max_frames=FRAMES_MAX)
    result = record_drive(jobs, tmp_path / "drive.zarr", config)
    assert result.exit_code == 0

    front = open_drive(tmp_path / "drive.zarr")["front"]
    assert len(front) == front.ledger.captured == frames
    found = [track.class_name for track in front.tracks()]
    assert found.count("car") >= cars
    assert found.count("pedestrian") >= pedestrians
    assert check_drive(tmp_path / "drive.zarr").problems == []
    with av.open(str(tmp_path / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == frames
