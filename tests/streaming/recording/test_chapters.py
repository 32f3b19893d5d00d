"""A drive that its camera cut into files gives the tracks of the drive that was not cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines import BoxMasks, Instances, ScriptedSegmenter
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.store import open_drive
from support.stores import SMALL
from support.video_factory import number_of, write_clip

FPS = 12
GAP = range(36, 60)
"""Three seconds less one chapter: longer than what creation times leave open."""


def find_by_number(image: np.ndarray, _index: int) -> Instances:
    """Two cars whose places follow from the number of the image."""
    number = number_of(image)
    boxes = np.array([[number, 10, number + 24, 30], [130 - number, 50, 150 - number, 70]], np.float32)
    masks = BoxMasks(np.ones((2, 28, 28), np.float32), boxes, image.shape[:2])
    return Instances(image.shape[:2], boxes, np.array([0.9, 0.8], np.float32), np.array([3, 3]), masks)


def test_five_chapters_with_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: ScriptedSegmenter(find_by_number))
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    whole = write_clip(tmp_path / "whole.mp4", range(96), fps=FPS)
    chapters = [
        write_clip(
            tmp_path / f"chapter{n}.mp4",
            range(first, last),
            fps=FPS,
            created=(began + timedelta(seconds=first / FPS)).isoformat(),
        )
        for n, (first, last) in enumerate([(0, 12), (12, 24), (24, 36), (60, 72), (72, 96)])
    ]
    config = RunConfig(store=SMALL)
    for name, files in (("whole", [whole]), ("cut", chapters[::-1])):
        jobs = [CameraJob("front", tuple(map(str, files)))]
        out = tmp_path / f"{name}.zarr"
        running.record_drive(jobs, out, config)
    uncut, cut = (open_drive(tmp_path / f"{name}.zarr")["front"] for name in ("whole", "cut"))
    numbers = [number for number in range(96) if number not in GAP]
    assert len(cut) == len(numbers)
    renamed: dict[int, int] = {}
    for position, number in enumerate(numbers):
        one, other = cut.frame(position), uncut.frame(number)
        assert one.timestamp_ns == other.timestamp_ns
        assert one.instances.masks.counts == other.instances.masks.counts
        for mine, theirs in zip(one.track_ids.tolist(), other.track_ids.tolist(), strict=True):
            assert mine
            assert renamed.setdefault(mine, theirs) == theirs
        assert one.epoch == int(number >= GAP.stop)
    assert len(renamed) == 4  # each of the two cars has one id before the gap and another after it
