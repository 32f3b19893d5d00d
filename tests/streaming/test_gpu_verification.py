"""What `roadmask engine verify` measures, and what it does not let pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.engines import BoxMasks, EngineError, Image, Instances, ScriptedSegmenter
from roadmask.engines.errors import ConfigError
from roadmask.streaming.cli.app import app
from roadmask.streaming.gpu_verification import Verification, verify_segmenter

GOOD = Verification(10, 1000, 0, (0.1, 0.2), (0.001, 0.002), (0.01, 0.02), 0.500, 0.500)


@pytest.mark.parametrize(
    ("seen", "precision", "message"),
    [
        (replace(GOOD, ap=0.4965), "fp16", r"mask AP is 0\.4965, torchvision's is 0\.5000"),
        (replace(GOOD, ap=0.4985), "fp32", "mask AP"),
        (replace(GOOD, lost=11), "fp16", "11 of 1000 sure instances are missing"),
        (replace(GOOD, ap=0.4925), "int8", r"expected at most 0\.007 less in int8"),
        (replace(GOOD, lost=51), "int8", "51 of 1000 sure instances are missing"),
        (replace(GOOD, lost=3), "fp32", "3 of 1000 sure instances are missing"),
    ],
)
def test_what_is_beyond_the_tolerances_is_an_error(seen: Verification, precision: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        seen.require(precision)


def test_what_is_within_them_passes() -> None:
    GOOD.require("fp32")
    replace(GOOD, ap=0.4975, lost=10).require("fp16")


def scripted(move_px: float, miss: bool = False) -> ScriptedSegmenter:
    def script(picture: Image, _number: int) -> Instances:
        height, width = picture.shape[:2]
        if miss:
            return Instances.empty((height, width))
        boxes = np.array([[10 + move_px, 10, width / 2, height / 2]], np.float32)
        masks = BoxMasks(np.full((1, 28, 28), 0.9 - move_px / 100, np.float32), boxes, (height, width))
        return Instances((height, width), boxes, np.array([0.9 - move_px / 50], np.float32), np.array([1]), masks)

    return ScriptedSegmenter(script)


def test_differences_are_those_of_the_outputs(data_dir: Path) -> None:
    seen = verify_segmenter(scripted(1.0), scripted(0.0), data_dir / "pennfudan_dev")
    assert (seen.sure, seen.lost) == (seen.pictures, 0)
    assert seen.box_px == pytest.approx((1, 1))
    assert seen.score == pytest.approx((0.02, 0.02), abs=1e-6)
    assert seen.mask == pytest.approx((0.01, 0.01), abs=1e-6)


def test_an_engine_that_finds_nothing_is_an_error(data_dir: Path) -> None:
    with pytest.raises(EngineError, match="finds none of"):
        verify_segmenter(scripted(0, miss=True), scripted(0), data_dir / "pennfudan_dev")


def test_without_pictures_it_says_what_it_wants(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["engine", "verify", "--data", str(tmp_path)])
    assert isinstance(found.exception, ConfigError)
    assert "coco_dev or pennfudan_dev" in str(found.exception)
