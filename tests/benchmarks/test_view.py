"""The benchmark of the page of a recorded store measures a real store and its video. No test looks at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.view.drive import make_drive
from benchmarks.view.measuring import ViewBenchmark, benchmark_view
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.store import open_drive

pytestmark = pytest.mark.ci


def test_a_drive_is_made_and_its_page_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.view.drive.LOOP", 6)
    monkeypatch.setattr("benchmarks.view.measuring.shutil.which", lambda _: None)  # a browser of its own takes seconds
    store = make_drive(tmp_path, 20)
    front = open_drive(store)["front"]
    assert (len(front), front.ledger.captured) == (20, 20)
    first, again = front.frame(1), front.frame(7)
    assert first.instances.masks is not None
    assert again.instances.masks is not None
    assert again.instances.masks.to_rle().counts == first.instances.masks.to_rle().counts
    assert not set(first.track_ids) & set(again.track_ids)
    with open_camera("front", [str(tmp_path / "front.mp4")]) as source:
        frames = [item.image for item in source if isinstance(item, Frame)]
    assert len(frames) == 20
    assert np.array_equal(frames[7], frames[1])
    (record,) = benchmark_view(store, ViewBenchmark(seeks=5))
    assert (record["frames"], record["source"]) == (20, "drive.zarr")
    assert record["tracks"] > 4
    assert 1 <= record["seek_files_max"] <= 4
    assert 0 < record["seek_mb_max"] < 2
    assert 50 < record["server_mb_peak"] < 300
    assert record["first_frame_s"] is None
