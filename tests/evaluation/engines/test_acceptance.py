"""Which precisions are accepted, in what they are measured, and that a graph is measured once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines import BoxMasks, Image, Instances, ScriptedSegmenter, Segmenter
from roadmask.engines.errors import ConfigError, EngineError
from roadmask.engines.networks.weights import Weights, find_weights
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.evaluation.engines import acceptance as gpu_acceptance
from roadmask.evaluation.engines.acceptance import SETS, Acceptance, measure
from support.coco import SIZE, car_world

SHAPE = (384, 640)


@pytest.fixture(scope="module")
def lite() -> Weights:
    return find_weights("lite")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both sets, each of the one image with two cars."""
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "cache"))
    for name in SETS:
        (tmp_path / name / "images").mkdir(parents=True)
        car_world(tmp_path / name)
        shutil.move(tmp_path / name / "truth.json", tmp_path / name / "instances.json")
        cv2.imwrite(str(tmp_path / name / "images" / "street.png"), np.full((*SIZE, 3), 90, np.uint8))
    return tmp_path


def sees(cars: int) -> Segmenter:
    """Finds so many of the two cars, exactly."""

    def script(image: Image, _number: int) -> Instances:
        boxes = np.array([[0, 10, 20, 30], [40, 10, 60, 30]], np.float32)[:cars]
        masks = BoxMasks(np.ones((cars, 28, 28), np.float32), boxes, image.shape[:2])
        labels = np.full(cars, 3)
        return Instances(image.shape[:2], boxes, np.full(cars, 0.9, np.float32), labels, masks)

    return ScriptedSegmenter(script)


Play = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Play:
    """Has precisions find so many cars; returns who was asked, and of what, as it is."""

    def of_kind(kind: str) -> Path:
        graph = tmp_path / f"{kind}.onnx"
        graph.write_text(kind)
        return graph

    def largest(*_: object) -> dict[str, float]:
        return {"conv1": 5.0, "conv2": 7.0, "conv3": 6.0}

    def start(capabilities: tuple[str, ...] = ("FP32", "INT8"), **cars: int) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def judge(program: str) -> Callable[..., object]:
            def judged(_weights: Weights, kind: str, _shape: tuple[int, int]) -> object:
                def segmenter(_wanted: object) -> Segmenter:
                    asked.append((program, kind))
                    return sees(cars[kind])

                return gpu_acceptance._Judged(f"{program}-{kind}", segmenter)

            return judged

        monkeypatch.setattr(gpu_acceptance, "_in_onnx_runtime", judge("onnxruntime"))
        monkeypatch.setattr(gpu_acceptance, "_in_openvino", judge("openvino"))
        monkeypatch.setattr(gpu_acceptance, "cpu_capabilities", lambda: capabilities)
        monkeypatch.setattr(gpu_acceptance, "typed_onnx", lambda _weights, _shape, _batch, kind: of_kind(kind))
        monkeypatch.setattr(gpu_acceptance, "largest_activations", largest)
        return asked

    return start


def test_numbers_too_large_for_half_are_refused() -> None:
    alike = {"coco_dev": {"fp32": 0.4, "fp16": 0.4}}
    with pytest.raises(EngineError, match=r"expected every activation under 30000, .* got fc6 3\.1e\+04: choose fp32"):
        Acceptance("fp16", "nowhere", alike, {"fc6": 31000.0}).require()


def test_the_largest_number_is_looked_for_once(lite: Weights, data: Path, play: Play) -> None:
    play(fp32=2, fp16=2)
    assert measure(lite, "fp16", SHAPE, data).largest == {"conv2": 7.0}
    shutil.rmtree(data / "coco_dev" / "images")
    assert measure(lite, "fp16", SHAPE, None).largest == {"conv2": 7.0}


@pytest.mark.parametrize(
    ("precision", "mask_ap", "message"),
    [
        ("fp16", 0.397, None),
        ("fp16", 0.3969, r"fp16 is refused: mask AP falls by 0\.31 points on other, at most 0\.3 .* choose fp32"),
        ("int8", 0.3931, None),
        ("int8", 0.3929, r"int8 is refused: mask AP falls by 0\.71 points on other, at most 0\.7 .* fp16 or fp32"),
        ("int8", 0.45, None),
    ],
)
def test_how_far_mask_ap_may_fall(precision: str, mask_ap: float, message: str | None) -> None:
    measured = {"coco_dev": {"fp32": 0.4, precision: 0.4}, "other": {"fp32": 0.40001, precision: mask_ap + 1e-5}}
    acceptance = Acceptance(precision, "nowhere", measured, {"fc6": 92.0})
    if message is None:
        acceptance.require()
    else:
        with pytest.raises(ConfigError, match=message):
            acceptance.require()


def test_a_precision_that_misses_a_car_is_refused(lite: Weights, data: Path, play: Play) -> None:
    play(fp32=2, int8=1)
    acceptance = measure(lite, "int8", SHAPE, data)
    assert acceptance.mask_ap["coco_dev"]["fp32"] == pytest.approx(1)
    with pytest.raises(ConfigError, match=r"int8 is refused: mask AP falls by .* points on coco_dev, "):
        acceptance.require()


def test_int8_is_measured_in_onnx_runtime_on_every_cpu(lite: Weights, data: Path, play: Play) -> None:
    asked = play(("FP32", "FP16"), fp32=2, int8=2)
    acceptance = measure(lite, "int8", SHAPE, data)
    acceptance.require()
    assert {program for program, _ in asked} == {"onnxruntime"}
    assert acceptance.way == "the graph of the plans in ONNX Runtime"


def test_half_is_measured_in_openvino_where_the_processor_has_it(lite: Weights, data: Path, play: Play) -> None:
    asked = play(("FP32", "FP16"), fp32=2, fp16=2)
    acceptance = measure(lite, "fp16", SHAPE, data)
    assert set(asked) == {("openvino", "fp32"), ("openvino", "fp16")}
    assert "f16 kernels this processor runs" in acceptance.way


def test_half_elsewhere_is_measured_in_onnx_runtime_and_said_to_be(lite: Weights, data: Path, play: Play) -> None:
    asked = play(fp32=2, fp16=2)
    acceptance = measure(lite, "fp16", SHAPE, data)
    assert set(asked) == {("onnxruntime", "fp32"), ("onnxruntime", "fp16")}
    assert "OpenVINO has no f16 kernels for this processor (it reports FP32, INT8)" in acceptance.way


def test_a_graph_is_measured_once(lite: Weights, data: Path, play: Play) -> None:
    asked = play(fp32=2, fp16=2, int8=2)
    seen: list[int] = []
    first = measure(lite, "int8", SHAPE, data, lambda: seen.append(1))
    assert len(seen) == 4, "two precisions, two sets of an image"
    assert measure(lite, "int8", SHAPE, None) == first
    measure(lite, "fp16", SHAPE, data)
    assert asked.count(("onnxruntime", "fp32")) == 2, "fp32 is known already"


def test_half_that_nobody_measured_is_refused(lite: Weights, tmp_path: Path, data: Path, play: Play) -> None:
    play(fp32=2, fp16=2)
    for folder in (None, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="or build with --unmeasured"):
            measure(lite, "fp16", SHAPE, folder)


class TestHalfInOpenVino:
    def test_a_processor_without_it_is_an_error(self, lite: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("roadmask.engines.openvino.segmenter.cpu_capabilities", lambda: ("FP32", "INT8"))
        with pytest.raises(EngineError, match="expected a processor that multiplies fp16"):
            OpenVinoSegmenter(lite, [1, 3], score_min=0.5, precision="fp16")
