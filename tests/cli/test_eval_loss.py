"""`roadmask eval loss`: what it refuses, and what it writes of engines that follow a script."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.cli import main
from roadmask.engines import Image, Instances, ScriptedSegmenter
from roadmask.engines.masks import RleMasks
from support.coco import SIZE, car_document, car_world, write_json

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def eval_loss(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command; returns its exit code and what it printed, on one line."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["roadmask", "eval", "loss", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    return run


def finds_cars(*lefts: int) -> ScriptedSegmenter:
    def script(image: Image, _index: int) -> Instances:
        size = image.shape[:2]
        dense = np.zeros((len(lefts), *size), np.uint8)
        for mask, x in zip(dense, lefts, strict=True):
            mask[10:30, x : x + 20] = 1
        boxes = np.array([[x, 10, x + 20, 30] for x in lefts], np.float32)
        scores, labels = np.full(len(lefts), 0.9, np.float32), np.full(len(lefts), 3)
        return Instances(size, boxes, scores, labels, RleMasks.from_dense(dense, size))

    return ScriptedSegmenter(script)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cars, of which the default engine finds one and torchvision both."""
    monkeypatch.setattr("roadmask.engines.openvino.segmenter.OpenVinoSegmenter", lambda *_, **__: finds_cars(0))
    monkeypatch.setattr("roadmask.engines.torch.segmenter.TorchSegmenter", lambda *_, **__: finds_cars(0, 40))
    cv2.imwrite(str(tmp_path / "street.png"), np.full((*SIZE, 3), 90, np.uint8))
    return car_world(tmp_path)


def test_states_what_is_lost(eval_loss: Cli, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "loss.json"
    code, _ = eval_loss("--gt", world, "--images", tmp_path, "--draws", 100, "--json", out)
    assert code == 0
    rows = json.loads(out.read_text())["results"]
    assert [(row["question"], row["class"]) for row in rows] == [
        (question, name) for question in ("engine", "proposals") for name in ("car", "all")
    ]
    engine, proposals = rows[0], rows[2]
    assert engine["loss"] == pytest.approx(50 / 101)
    assert engine["loss_low"] == engine["loss_high"] == engine["loss"], "there is one image to draw"
    assert (proposals["loss"], proposals["candidate"]) == (0, engine["reference"])


def test_a_passed_limit_fails(eval_loss: Cli, world: Path, tmp_path: Path) -> None:
    given = ("--gt", world, "--images", tmp_path, "--draws", 100)
    assert eval_loss(*given, "--loss-max", 50, "--bound-max", 50, "--proposals-loss-max", 0)[0] == 0
    code, printed = eval_loss(*given, "--loss-max", 0.5, "--bound-max", 50)
    assert code == 1
    assert "limit exceeded: loss of the engine 49.50 > 0.5 points" in printed
    assert "bound" not in printed


def test_a_missing_folder_is_named_before_engines_run(eval_loss: Cli, world: Path, tmp_path: Path) -> None:
    code, printed = eval_loss("--gt", world, "--images", tmp_path / "none")
    assert code == 2
    assert "to be the folder of the images" in printed


def test_a_truth_of_other_classes_says_which(eval_loss: Cli, world: Path, tmp_path: Path) -> None:
    document = car_document()
    document["categories"] = [{"id": 3, "name": "bus"}]
    code, printed = eval_loss("--gt", write_json(world, document), "--images", tmp_path)
    assert code == 2
    assert "which are compared by default, got masks of bus: choose from these" in printed


def test_help_names_its_own_default_classes(eval_loss: Cli) -> None:
    code, printed = eval_loss("--help")
    assert code == 0
    assert "Default: pedestrian and car" in printed
