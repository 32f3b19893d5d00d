from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.store import CameraWriter, open_drive, summarize_drive
from roadmask.streaming.store.summary import frame_seconds
from support.stores import FRAME_NS, SMALL, create, record, street

SIZE = (24, 40)


def test_counts_and_life_spans(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(20))
    summary = summarize_drive(path)
    (camera,) = summary.cameras
    assert (summary.frames, camera.frames, camera.instances) == (20, 20, sum(map(len, street(20))))
    assert summary.seconds == pytest.approx(2.0)
    assert camera.complete
    assert camera.ledger.stored == 20
    lives = {life.track_id: life for life in camera.tracks}
    # Every fifth frame is empty, so the car is seen in four intervals.
    assert [pytest.approx(span) for span in lives[1].spans_s] == [(0.0, 0.4), (0.5, 0.9), (1.0, 1.4), (1.5, 1.9)]
    assert [pytest.approx(span) for span in lives[2].spans_s] == [(0.3, 0.4), (0.5, 0.9)]
    assert lives[2].seconds == pytest.approx(0.6)
    by_class = {each.class_name: each for each in camera.classes}
    assert (by_class["car"].tracks, by_class["car"].instances) == (1, 16)
    assert by_class["pedestrian"].longest_s == pytest.approx(0.6)


def test_storage_covers_every_byte(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(20))
    summary = summarize_drive(path)
    assert summary.stored_bytes == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert all(size > 0 for size in summary.storage.values())
    assert summary.raw_id_map_bytes == 20 * SIZE[0] * SIZE[1] * 4


def test_time_goes_on_over_epochs(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        index = 0
        for epoch, clock, first in [(0, "unix", 10**18), (1, "unix", 10**18 + 5 * FRAME_NS), (2, "monotonic", 7)]:
            writer.start_epoch(epoch, SIZE, clock, {})  # type: ignore[arg-type]
            for n, tracks in enumerate(street(2)):
                writer.append(index, first + n * FRAME_NS, tracks)
                index += 1
    seconds, step = frame_seconds(open_drive(tmp_path / "drive.zarr")["front"])
    assert step == pytest.approx(0.1)
    assert seconds.tolist() == pytest.approx([0.0, 0.1, 0.5, 0.6, 0.7, 0.8])
    assert summarize_drive(tmp_path / "drive.zarr").cameras[0].seconds == pytest.approx(0.6)


def test_nothing_seen_and_nothing_stored(tmp_path: Path) -> None:
    empty = [tracks[:0] for tracks in street(3)]
    summary = summarize_drive(record(tmp_path / "unseen.zarr", empty))
    assert (summary.frames, summary.cameras[0].tracks, summary.cameras[0].classes) == (3, (), ())
    summary = summarize_drive(record(tmp_path / "unstored.zarr", []))
    assert (summary.frames, summary.seconds, summary.raw_id_map_bytes) == (0, 0.0, 0)
    with create(tmp_path / "cameraless.zarr"):
        pass
    assert summarize_drive(tmp_path / "cameraless.zarr").cameras == ()
