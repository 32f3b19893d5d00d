"""What `roadmask engine verify` measures, and what it does not let pass."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines import BoxMasks, EngineError, Image, Instances, ScriptedSegmenter, choosing
from roadmask.engines.errors import ConfigError, InputError
from roadmask.evaluation.engines.verification import Spread, Verification, verify_segmenter

GOOD = Verification(
    10, 1000, 0, Spread(0.01, 0.04, 0.2), Spread(0.0001, 0.0005, 0.002), Spread(0.001, 0.004, 0.02), 0.500, 0.500
)


@pytest.mark.parametrize(
    ("seen", "precision", "message"),
    [
        (replace(GOOD, ap=0.4965), "fp16", r"mask AP is 0\.4965, torchvision's is 0\.5000"),
        (replace(GOOD, ap=0.4985), "fp32", "mask AP"),
        (replace(GOOD, lost=11), "fp16", "11 of 1000 sure instances are missing"),
        (replace(GOOD, ap=0.4925), "int8", r"expected at most 0\.007 less in int8"),
        (replace(GOOD, lost=51), "int8", "51 of 1000 sure instances are missing"),
        (replace(GOOD, lost=3), "fp32", "3 of 1000 sure instances are missing"),
        (
            replace(GOOD, box_px=Spread(0, 0.06, 9)),
            "fp32",
            r"box_px is 0\.06000 from torchvision's, .* at most 0\.05 in fp32",
        ),
        (replace(GOOD, score=Spread(0, 0.02, 0.5)), "fp16", "score is 0.02"),
        (replace(GOOD, mask=Spread(0.7, 0.8, 0.9)), "int8", "mask is 0.70000 from .* which half keep to"),
    ],
)
def test_what_is_beyond_the_tolerances_is_an_error(seen: Verification, precision: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        seen.require(precision)


def test_what_is_within_them_passes() -> None:
    GOOD.require("fp32")
    replace(GOOD, ap=0.4975, lost=10, box_px=Spread(0, 0.49, 30)).require("fp16")
    replace(GOOD, box_px=Spread(4, 70, 140)).require("int8")


def scripted(move_px: float, miss: bool = False) -> ScriptedSegmenter:
    def script(image: Image, _number: int) -> Instances:
        height, width = image.shape[:2]
        if miss:
            return Instances.empty((height, width))
        boxes = np.array([[10 + move_px, 10, width / 2, height / 2]], np.float32)
        masks = BoxMasks(np.full((1, 28, 28), 0.9 - move_px / 100, np.float32), boxes, (height, width))
        return Instances((height, width), boxes, np.array([0.9 - move_px / 50], np.float32), np.array([1]), masks)

    return ScriptedSegmenter(script)


def test_differences_are_those_of_the_outputs(data_dir: Path) -> None:
    seen = verify_segmenter(scripted(1.0), scripted(0.0), data_dir / "pennfudan_dev")
    assert (seen.sure, seen.lost) == (seen.images, 0)
    assert seen.box_px == pytest.approx((1, 1, 1))
    assert seen.score == pytest.approx((0.02,) * 3, abs=1e-6)
    assert seen.mask == pytest.approx((0.01,) * 3, abs=1e-6)


def test_an_engine_that_finds_nothing_is_an_error(data_dir: Path) -> None:
    with pytest.raises(EngineError, match="finds none of"):
        verify_segmenter(scripted(0, miss=True), scripted(0), data_dir / "pennfudan_dev")


def test_images_in_which_torchvision_is_sure_of_nothing_verify_nothing(data_dir: Path) -> None:
    nothing = scripted(0, miss=True)
    with pytest.raises(InputError, match=r"torchvision scores nothing above 0\.6"):
        verify_segmenter(nothing, nothing, data_dir / "pennfudan_dev")


@pytest.fixture
def alike(data_dir: Path, tmp_path: Path) -> Path:
    """A set of two images with people and cars large enough to be sure of, for a graph that other tests export, too."""
    source = data_dir / "coco_dev"
    truth = json.loads((source / "instances.json").read_bytes())
    truth["images"] = [image for image in truth["images"] if (image["height"], image["width"]) == (427, 640)][:2]
    kept = {image["id"] for image in truth["images"]}
    truth["annotations"] = [each for each in truth["annotations"] if each["image_id"] in kept]
    (tmp_path / "coco_dev" / "images").mkdir(parents=True)
    (tmp_path / "coco_dev" / "instances.json").write_text(json.dumps(truth))
    for image in truth["images"]:
        shutil.copy(source / "images" / image["file_name"], tmp_path / "coco_dev" / "images")
    return tmp_path


@pytest.mark.ci
def test_a_graph_of_four_is_verified_on_a_machine_without_a_gpu(alike: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "has_nvidia_driver", lambda: False)
    asked = ["engine", "verify", "--precision", "fp32", "--batch", "4", "--input-size", "256x320", "--data", str(alike)]
    said = CliRunner().invoke(app, asked, env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert "No GPU here: this verifies the ONNX" in said.output
    assert "lite fp32 in onnxruntime, batch 4, on coco_dev" in said.output
    sure, of_all = re.findall(r"(\d+) of (\d+) instances that torchvision scores above 0.6 are found", said.output)[0]
    assert int(sure) == int(of_all) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "openvino"], "expected the engine tensorrt, torch-cuda or onnxruntime, got 'openvino'"),
        (["--engine", "torch-cuda", "--precision", "int8"], "expected fp16 or fp32 for the engine torch-cuda"),
    ],
)
def test_engines_that_are_not_for_gpus_are_refused(alike: Path, options: list[str], message: str) -> None:
    found = CliRunner().invoke(app, ["engine", "verify", *options, "--data", str(alike)])
    assert isinstance(found.exception, ConfigError)
    assert message in str(found.exception)


def test_without_images_it_says_what_it_wants(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["engine", "verify", "--data", str(tmp_path)])
    assert isinstance(found.exception, ConfigError)
    assert "coco_dev or pennfudan_dev" in str(found.exception)
