"""The benchmarks measure what they say, and write it down in the one form. No test looks at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app

pytest.importorskip("torchvision", reason="compares with torchvision, which needs roadmask[torch]")


def test_masks_are_those_of_torchvision_and_pycocotools() -> None:
    from roadmask.evaluation.speed.masks import benchmark_masks

    records = benchmark_masks([(4, 12), (40, 150)], instances=12, image_size=(90, 160), rounds=1)
    assert [record["size_set"] for record in records] == ["4-12", "40-150"]
    for record in records:
        assert record["instances"] == 12
        assert record["shape"] == "90x160"
        assert record["ratio"] == pytest.approx(record["ms_reference"] / record["ms_ours"], abs=0.06)
        assert record["pixel_error"] <= 1e-5
        assert record["iou_error"] < 1e-9


def test_sampled_masks_are_of_the_sizes_asked_for_and_some_are_cut() -> None:
    from roadmask.evaluation.speed.masks import sample_masks

    probabilities, boxes = sample_masks((200, 900), 50, (1080, 1920))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides >= 199.9).all()
    assert (sides <= 900.1).all()
    cut = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > (1920, 1080)).any(axis=1)
    assert 10 < cut.sum() < 50
    assert (probabilities.max(axis=(1, 2)) > 0.5).all()
    assert (np.abs(probabilities - probabilities[:, ::-1]) > 0.1).any(), "no mask is symmetrical"


def test_bench_masks_writes_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roadmask.evaluation.speed import masks

    monkeypatch.setattr(masks.benchmark_masks, "__kwdefaults__", {"instances": 3, "image_size": (90, 160), "rounds": 1})
    result = CliRunner().invoke(app, ["bench", "masks", "--json", str(tmp_path / "masks.json")])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "masks.json").read_text())
    assert [record["size_set"] for record in document["results"]] == ["20-60", "40-200", "200-900"]
    assert {"machine", "versions", "results"} == set(document)


def test_masks_hold_their_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    from roadmask.evaluation.speed import masks

    records = [
        {"size_set": "20-60", "ratio": 300.0, "pixel_error": 0.0},
        {"size_set": "200-900", "ratio": 99.9, "pixel_error": 2e-5},
    ]
    monkeypatch.setattr(masks, "benchmark_masks", lambda: records)
    missed = CliRunner().invoke(app, ["bench", "masks", "--ratio-min", "100", "--pixel-error-max", "1e-5"])
    assert missed.exit_code == 1
    assert "boxes of 200-900 px: ratio is 99.9, expected at least 100.0." in missed.output
    assert "boxes of 200-900 px: pixel_error is 2e-05, expected at most 1e-05." in missed.output
    assert "boxes of 20-60 px:" not in missed.output
    held = ["bench", "masks", "--ratio-min", "99.9", "--pixel-error-max", "2e-5"]
    assert CliRunner().invoke(app, held).exit_code == 0
    assert CliRunner().invoke(app, ["bench", "masks"]).exit_code == 0, "without bars none is missed"


def test_the_default_engine_holds_its_bar_at_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from roadmask.evaluation.speed import engine

    given = {"weights": "lite", "clock": "wall", "shape": "384x640", "threads": 2, "images": "sample drive"}
    rows = [("openvino", 1, 1.5), ("openvino", 4, 2.5), ("onnxruntime", 1, 1.0)]
    records = [given | {"engine": name, "batch": batch, "ratio": ratio} for name, batch, ratio in rows]
    monkeypatch.setattr(engine, "benchmark_engine", lambda *_: records)
    missed = CliRunner().invoke(app, ["bench", "engine", "--ratio-min", "2"])
    assert missed.exit_code == 1
    assert "lite at batch 1: ratio is 1.5, expected at least 2.0." in missed.output
    assert missed.output.count("expected at least") == 1, "a peer has no bar"
    assert CliRunner().invoke(app, ["bench", "engine", "--ratio-min", "1.5"]).exit_code == 0


def test_engine_records_what_was_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from roadmask.evaluation.speed.engine import EngineBenchmark, benchmark_engine

    monkeypatch.setenv("ROADMASK_DATA", str(tmp_path))  # empty, so that the sample drive is taken
    settings = EngineBenchmark(
        shape=(192, 160), batches=(1, 2), threads=1, precision="fp32", score_min=0.05, images=2, rounds=1
    )
    records = benchmark_engine(["lite"], settings)
    assert [(record["engine"], record["batch"]) for record in records] == [("openvino", 1), ("openvino", 2)]
    for record in records:
        assert (record["weights"], record["shape"], record["images"]) == ("lite", "192x160", "sample drive")
        assert (record["K"], record["D"]) == (128, 100)
        assert record["mean_detections"] > 1
        assert 5 < record["gflop"] < 15, "of which its mask head takes 0.17 a detection"
        assert record["ratio"] == pytest.approx(record["eager_ms_median"] / record["ms_median"], abs=0.01)
        assert record["ms_p95"] >= record["ms_median"] > 0


def test_each_call_is_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from roadmask.evaluation.speed import engine
    from roadmask.evaluation.speed.engine_peers import Side

    ticked = [0.0]
    called: list[tuple[int, list[int]]] = []

    def side(batch: int) -> Side:
        def segment(images: Any) -> list[Any]:
            numbers = [int(image[0, 0, 0]) for image in images]
            called.append((batch, numbers))
            ticked[0] += 8.0 if 0 in numbers and len(called) > 3 else 4.0  # the first image is slow once it is warm
            return []

        return Side("scripted", "fp32", batch, segment)

    monkeypatch.setattr("roadmask.evaluation.speed.engine.time.perf_counter", lambda: ticked[0])
    images = [np.full((1, 1, 3), number, np.uint8) for number in range(5)]
    settings = engine.EngineBenchmark(rounds=1)
    one, two, many = engine._call_ms([side(1), side(2), side(7)], images, settings)
    assert one == [8000, 4000, 4000, 4000, 4000], "no call is smoothed over by its neighbours"
    assert two == [4000, 2000, 4000], "the last call holds the slow image again"
    assert many == [pytest.approx(8000 / 7)]
    assert [numbers for batch, numbers in called[3:] if batch == 2] == [[0, 1], [2, 3], [4, 0]]
    assert called[-1] == (2, [4, 0])
    assert called[5] == (7, [0, 1, 2, 3, 4, 0, 1])


@pytest.mark.parametrize("named", ["", "nowhere", "data"])
def test_images_are_those_of_the_folder_that_is_named_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    from roadmask.evaluation.speed.sample_images import street_images

    folder = tmp_path / "shared" / "data" / "coco_dev" / "images"
    folder.mkdir(parents=True)
    for number in range(7):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 64, 3), 10 * number, np.uint8))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # beside which lies shared/data, which nobody has named
    if named:
        monkeypatch.setenv("ROADMASK_DATA", str(tmp_path / ("shared/data" if named == "data" else named)))
    else:
        monkeypatch.delenv("ROADMASK_DATA", raising=False)
    source, images = street_images(4, (32, 64))
    assert source == ("coco_dev" if named == "data" else "sample drive")
    assert len(images) == 4
    if named == "data":
        assert [int(image[0, 0, 0]) for image in images] == [0, 20, 40, 60], "from the first to the last"


@pytest.mark.parametrize(("there", "count"), [(56, 20), (56, 30), (5, 9), (7, 1)])
def test_what_is_chosen_is_spread_evenly(there: int, count: int) -> None:
    from roadmask.engines.networks.image_folder import evenly_spread

    places = evenly_spread(there, count)
    assert len(places) == min(there, count)
    assert places[0] == 0
    assert places[-1] == there - 1 or count == 1
    assert np.ptp(np.diff(places)) <= 1 if count > 1 else True


def test_engine_peers_are_timed_in_the_same_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    from roadmask.evaluation.speed import engine_peers
    from roadmask.evaluation.speed.engine import EngineBenchmark, benchmark_engine

    monkeypatch.setenv("ROADMASK_DATA", str(tmp_path))
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)  # takes minutes
    monkeypatch.setattr(engine_peers, "_YOLO_SIZES", "n")
    settings = EngineBenchmark(
        shape=(192, 160), threads=1, precision="fp32", images=1, rounds=1, peers=engine_peers.PEERS
    )
    ours, *others = benchmark_engine(["lite"], settings)
    assert [record["engine"] for record in others] == ["onnxruntime", "torch-compile", "yolo11n-seg, network alone"]
    assert [record["gflop"] == ours["gflop"] for record in others] == [True, True, False]
    assert 0.5 < others[2]["gflop"] < 1
    for name in ("weights", "K", "D", "mean_detections"):
        assert [record[name] == ours[name] for record in others] == [True, True, False]
        assert others[2][name] is None, "it is another network"
    assert all(record["ms_median"] > 0 for record in others)


def test_a_peer_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from roadmask.engines.errors import EngineError
    from roadmask.evaluation.speed import engine_peers

    monkeypatch.setattr(engine_peers, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match="needs ultralytics, which is not installed: pip install --no-deps ultral"):
        engine_peers._require("ultralytics", "pip install --no-deps ultralytics ultralytics-thop")
    result = CliRunner().invoke(app, ["bench", "engine", "--peer", "tensorflow"])
    assert "expected as --peer onnxruntime, torch-compile, yolo, got tensorflow" in str(result.exception)


def test_random_weights_find_something(tmp_path: Path) -> None:
    from roadmask.engines.networks.weights import Architecture, find_weights
    from roadmask.engines.torch.segmenter import TorchSegmenter
    from roadmask.evaluation.speed.random_weights import write_random_weights

    image = np.random.default_rng(0).integers(0, 255, (128, 160, 3), np.uint8)
    write_random_weights(tmp_path / "random.safetensors", Architecture.LITE, image)
    weights = find_weights(tmp_path / "random.safetensors")
    assert weights.architecture is Architecture.LITE
    [found] = TorchSegmenter(weights, (1, 2, 3, 4, 6, 8), score_min=0.05, input_size=(128, 160))([image])
    assert len(found) > 5
