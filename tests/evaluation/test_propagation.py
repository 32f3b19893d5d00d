"""The benchmark of propagation: what is compared with what."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines import Instances, RleMasks, ScriptedSegmenter
from roadmask.engines.errors import InputError
from roadmask.evaluation.propagation import benchmark_cost, benchmark_davis, benchmark_sample_drive
from roadmask.sample_drive import SampleDrive, SampleDriveConfig

DRIVE = SampleDrive(SampleDriveConfig(seconds=0.4))


def knowing(drive: SampleDrive = DRIVE) -> ScriptedSegmenter:
    """Finds exactly what is there."""

    def find(image: NDArray[np.uint8], number: int) -> Instances:
        return drive.frame(number)[1].instances

    return ScriptedSegmenter(find)


def test_a_perfect_detector_is_as_good_in_every_frame_and_a_little_worse_between() -> None:
    records = benchmark_sample_drive(knowing(), every=(2, 5), drive=DRIVE)
    assert [(each["method"], each["detect_every"]) for each in records[::2]] == [
        ("detected", 1),
        ("both ways", 2),
        ("both ways", 5),
        ("forward", 2),
        ("forward", 5),
    ]
    whole = records[:2]
    assert all((each["recall"], each["precision"], each["mean_iou"]) == (1, 1, 1) for each in whole)
    assert all(each["iou_change"] < 0 for each in records[2:])
    assert all(each["recall"] > 0.9 and each["precision"] > 0.9 for each in records if each["class_name"] == "car")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames of a car that drives to the right, with its mask."""
    for name in ("JPEGImages", "Annotations"):
        (tmp_path / "clip" / name).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (30, 60, 3), np.uint8)
    street, car = cv2.resize(noise, (320, 160)), cv2.resize(noise[:10, :20], (80, 40))
    for number in range(6):
        image, mask = street.copy(), np.zeros((160, 320), np.uint8)
        image[80:120, 40 + 4 * number : 120 + 4 * number] = car[..., ::-1]
        mask[80:120, 40 + 4 * number : 120 + 4 * number] = 255
        cv2.imwrite(str(tmp_path / "clip/JPEGImages" / f"{number:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(tmp_path / "clip/Annotations" / f"{number:05d}.png"), mask)
    return tmp_path / "clip"


def test_a_clip_is_scored_by_the_mask_of_its_car(clip: Path) -> None:
    def find(image: NDArray[np.uint8], number: int) -> Instances:
        if number == 5:
            return Instances.empty((160, 320))
        dense = np.zeros((1, 160, 320), bool)
        dense[0, 80:120, 40 + 4 * number : 120 + 4 * number] = True
        masks, boxes = RleMasks.from_dense(dense), np.array([[40 + 4 * number, 80, 120 + 4 * number, 120]], np.float32)
        return Instances((160, 320), boxes, np.ones(1, np.float32), np.array([3]), masks)

    records = benchmark_davis(ScriptedSegmenter(find), clip, every=(3,))
    assert [each["method"] for each in records] == ["detected", "both ways", "forward"]
    assert records[0]["mean_iou"] == pytest.approx(5 / 6, abs=1e-4)
    assert records[1]["mean_iou"] > 0.9  # the car that was missed is carried to the last frame
    assert records[1]["iou_change"] == pytest.approx(records[1]["mean_iou"] - records[0]["mean_iou"], abs=1e-4)


def test_a_clip_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        benchmark_davis(knowing(), tmp_path)


def test_the_cost_is_the_sum_of_its_parts() -> None:
    cost = benchmark_cost(rounds=1)
    assert cost["instances"] == 10
    assert cost["cpu_ms"] == pytest.approx(cost["shrink_ms"] + cost["flow_ms"] + cost["move_ms"], abs=1e-6)


def test_the_command_writes_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadmask.engines.load_segmenter", lambda *_, **__: knowing())
    out = tmp_path / "records.json"
    arguments = ["bench", "propagation", "--seconds", "0.4", "--data", str(tmp_path)]
    assert CliRunner().invoke(app, [*arguments, "--json", str(out)]).exit_code == 0
    assert {each["source"] for each in json.loads(out.read_text())["results"]} == {"sample drive", "cost"}
    assert CliRunner().invoke(app, [*arguments, "--ms-max", "0"]).exit_code == 1
