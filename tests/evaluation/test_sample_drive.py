"""`roadmask eval sample-drive`: an engine that knows the truth is found to be right, and one that knows half is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from roadmask.cli import main
from roadmask.engines import CAR, Image, Instances, ScriptedSegmenter
from roadmask.sample_drive import SampleDrive
from roadmask.sample_drive.score import MIN_HEIGHT_PX, count_frame

FRAMES = 15
DRIVE = SampleDrive()


def records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, found: slice) -> dict[str, dict[str, float]]:
    """Runs the command with an engine that finds some of the true objects; returns its records by class."""

    def find(_image: Image, index: int) -> Instances:
        return DRIVE.truth(index).instances[found]

    monkeypatch.setattr("roadmask.streaming.recording.drive.build_segmenter", lambda _: ScriptedSegmenter(find))
    out = tmp_path / f"{found}.json"
    command = ["roadmask", "eval", "sample-drive", "--max-frames", str(FRAMES), "--json", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return {each["class"]: each for each in json.loads(out.read_text())["results"]}


def test_what_is_right_and_what_is_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = records(monkeypatch, tmp_path, found=slice(None))
    half = records(monkeypatch, tmp_path, found=slice(None, None, 2))
    assert list(whole) == ["pedestrian", "car"]
    for name, each in whole.items():
        assert each["frames"] == FRAMES
        assert (each["precision"], each["mask_iou"], each["switches"]) == (1, 1, 0)
        assert each["recall"] > 0.9, "what shows in the last frames alone is not confirmed"
        assert 90 < each["HOTA"] <= 100
        assert each["DetA"] == pytest.approx(100 * each["recall"], abs=0.1)
        assert half[name]["recall"] < each["recall"]
        assert half[name]["HOTA"] < each["HOTA"]


def test_small_objects_neither_help_nor_harm() -> None:
    truth = DRIVE.truth(100)
    cars = truth.instances.category_ids == CAR
    heights = truth.instances.boxes[:, 3] - truth.instances.boxes[:, 1]
    large = cars & (heights >= MIN_HEIGHT_PX)
    assert 0 < large.sum() < cars.sum(), "some are small"
    ids = np.arange(1, len(truth) + 1)
    counted = count_frame(truth.instances, truth, ids, CAR)
    assert counted.object_ids.tolist() == truth.object_ids[large].tolist()
    assert counted.track_ids.tolist() == ids[large].tolist()
    assert np.array_equal(np.diag(counted.iou), np.ones(large.sum()))
