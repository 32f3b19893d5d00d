"""int8: where quantisers stand, what they hold, and how ranges are measured and kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from roadmask.engines.errors import ConfigError, EngineError, InputError
from roadmask.engines.networks import quantization
from roadmask.engines.networks.graph_io import INPUT_TYPES
from roadmask.engines.networks.quantization import Calibration, calibrate, calibration_of, has_calibration, quantize
from roadmask.engines.networks.typed_onnx import unfit_nodes
from roadmask.engines.networks.weights import Weights

SHAPE = (64, 96)
LAYERS = ("backbone.conv.weight#1", "roi_heads.mask_head.weight#1", "roi_heads.mask_head.weight#2")
RANGES = Calibration("ab" * 32, dict.fromkeys(LAYERS, (-4.0, 4.0)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "cache"))


def small_network(half: bool) -> onnx.ModelProto:
    """Takes what the whole network takes; a convolution, a depthwise one, one that is used twice, and a last layer."""
    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    height, width = SHAPE
    shapes: dict[str, list[int | str]] = {"frames": [1, "h", "w", 3], "content": [2], "classes": [7], "score_min": [1]}
    shapes |= {"rows": [2, height], "row_weights": [2, height], "columns": [2, width], "column_weights": [2, width]}
    shapes |= {"proposal_keep": [1, 2, 8], "detection_keep": [1, 8]}
    types = {"uint8": TensorProto.UINT8, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
    inputs = [helper.make_tensor_value_info(n, types[t], shapes[n]) for n, t in INPUT_TYPES.items()]
    random = np.random.default_rng(0)

    def weight(name: str, *size: int) -> onnx.TensorProto:
        return numpy_helper.from_array((random.random(size) - 0.5).astype(dtype), name)

    weights = [
        weight("backbone.conv.weight", 8, 3, 3, 3),
        weight("backbone.depthwise.weight", 8, 1, 3, 3),
        weight("roi_heads.mask_head.weight", 8, 8, 1, 1),
        weight("rpn.head.cls_logits.weight", 3, 8, 1, 1),
        numpy_helper.from_array(np.array(1 / 64, dtype), "scale"),
    ]
    nodes = [
        helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["numbers"], to=kind),
        helper.make_node("Mul", ["numbers", "scale"], ["pixels"]),
        helper.make_node("Conv", ["pixels", weights[0].name], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", weights[1].name], ["c"], name="depthwise", group=8),
        helper.make_node("Conv", ["c", weights[2].name], ["d"], name="shared_1"),
        helper.make_node("Conv", ["d", weights[2].name], ["e"], name="shared_2"),
        helper.make_node("Conv", ["e", weights[3].name], ["f"], name="last"),
        helper.make_node("Cast", ["f"], ["scores"], to=TensorProto.FLOAT),
    ]
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, "y", "x"])
    graph = helper.make_graph(nodes, "small", inputs, [scores], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "half.onnx"
    onnx.save(small_network(half=True), path)
    return path


@pytest.fixture(scope="module")
def quantized(half: Path) -> bytes:
    return quantize(half, RANGES)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    path = tmp_path / "full.onnx"
    onnx.save(small_network(half=False), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 60, 3), 60 * (number + 1), np.uint8))
    (folder / "notes.txt").write_text("no image")
    return folder


class TestQuantize:
    def test_what_is_int8_and_what_stays(self, quantized: bytes) -> None:
        model = onnx.load_from_string(quantized)
        made = {output: node for node in model.graph.node for output in node.output}
        convolutions = {node.name: node for node in model.graph.node if node.op_type == "Conv"}
        for name, node in convolutions.items():
            sources = [made[each].op_type if each in made else "" for each in node.input[:2]]
            in_int8 = sources == ["DequantizeLinear", "DequantizeLinear"]
            assert in_int8 == (name in {"first", "shared_1", "shared_2"}), name
        assert unfit_nodes(model) == []

    def test_quantisers_are_what_tensorrt_takes(self, quantized: bytes) -> None:
        model = onnx.load_from_string(quantized)
        held = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        quantisers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        assert len(quantisers) == 3
        for node in (n for n in model.graph.node if n.op_type in {"QuantizeLinear", "DequantizeLinear"}):
            scale, zero = held[node.input[1]], held[node.input[2]]
            assert scale.dtype == np.float16
            assert zero.dtype == np.int8
            assert not zero.any(), "symmetric"
        by_channel = [
            held[n.input[1]] for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in held
        ]
        assert all(scale.shape == (8,) for scale in by_channel)

    def test_numbers_are_nearly_the_same(self, half: Path, full: Path, images: Path, lite: Weights) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
        cv2.imwrite(str(images / "noise.png"), noise)
        ranges = calibrate(full, lite, SHAPE, images)
        given = {
            each.name: np.ones([d.dim_value or 8 for d in each.type.tensor_type.shape.dim], INPUT_TYPES[each.name])
            for each in onnx.load(half).graph.input
        }
        given["frames"] = noise[None, ..., ::-1].copy()
        [exact], [rounded] = (
            onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, given)
            for content in (half.read_bytes(), quantize(half, ranges))
        )
        error = np.abs(exact - rounded).max() / np.abs(exact).max()
        assert 1e-4 < error < 0.05

    def test_made_twice_it_is_the_same(self, half: Path, quantized: bytes) -> None:
        assert quantize(half, RANGES) == quantized

    @pytest.mark.parametrize(("module", "extra"), [("onnx", "torch"), ("onnxruntime", "tensorrt-rtx")])
    def test_what_is_missing_comes_with_its_extra(
        self, half: Path, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(EngineError, match=rf"int8 needs {module}, .*pip install 'roadmask\[{extra}\]'"):
            quantize(half, RANGES)

    def test_layers_that_were_not_measured_are_an_error(self, half: Path) -> None:
        with pytest.raises(EngineError, match=r"the ranges of roi_heads\.mask_head\.weight#2 were not measured"):
            quantize(half, Calibration("", dict.fromkeys(LAYERS[:2], (-1, 1))))


class TestCalibrate:
    def test_ranges_are_those_of_the_images(self, full: Path, images: Path, lite: Weights) -> None:
        seen: list[int] = []
        found = calibrate(full, lite, SHAPE, images, on_image=lambda: seen.append(1))
        assert len(seen) == 3
        assert set(found.ranges) == set(LAYERS)
        low, high = found.ranges["backbone.conv.weight#1"]
        assert (low, high) == (pytest.approx(60 / 64), pytest.approx(180 / 64))
        assert calibration_of(lite, SHAPE) == found

    def test_the_same_images_are_not_measured_again_and_others_are(
        self, full: Path, images: Path, lite: Weights
    ) -> None:
        first = calibrate(full, lite, SHAPE, images)
        assert calibrate(full, lite, SHAPE, images, on_image=pytest.fail) == first
        cv2.imwrite(str(images / "3.png"), np.full((40, 60, 3), 250, np.uint8))
        second = calibrate(full, lite, SHAPE, images)
        assert second.digest != first.digest
        assert calibration_of(lite, SHAPE) == second

    def test_images_are_spread_over_the_folder(
        self, full: Path, images: Path, lite: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quantization, "IMAGES", 2)
        seen: list[int] = []
        found = calibrate(full, lite, SHAPE, images, on_image=lambda: seen.append(1))
        assert len(seen) == 2
        assert found.ranges["backbone.conv.weight#1"][1] == pytest.approx(180 / 64), "the last one too"

    def test_without_images_it_says_what_it_wants(self, full: Path, tmp_path: Path, lite: Weights) -> None:
        with pytest.raises(InputError, match="expected a folder of street images"):
            calibrate(full, lite, SHAPE, tmp_path / "nowhere")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="expected JPEG or PNG images"):
            calibrate(full, lite, SHAPE, tmp_path / "empty")

    def test_a_file_that_is_no_image(self, full: Path, images: Path, lite: Weights) -> None:
        (images / "1.png").write_bytes(b"no")
        with pytest.raises(InputError, match=r"cannot read .*1\.png"):
            calibrate(full, lite, SHAPE, images)
        assert not has_calibration(lite, SHAPE)

    def test_nothing_measured_says_how(self, lite: Weights) -> None:
        with pytest.raises(ConfigError, match=r"--weights lite --precision int8 --input-size 64x96 --calibration DIR"):
            calibration_of(lite, SHAPE)

    def test_a_damaged_record_is_an_error(self, full: Path, images: Path, lite: Weights, tmp_path: Path) -> None:
        calibrate(full, lite, SHAPE, images)
        [record] = (tmp_path / "cache" / "gpu-graphs").glob("*-ranges.json")
        record.write_text(json.dumps({"ranges": 3}))
        with pytest.raises(EngineError, match="is not a file that roadmask wrote"):
            calibration_of(lite, SHAPE)
