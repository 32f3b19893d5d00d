"""int8 in OpenVINO: the quantisers are where they belong, results stay near fp32's, and unknown ranges are said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines import Image
from roadmask.engines.errors import ConfigError, EngineError, InputError
from roadmask.engines.networks.weights import Architecture, Weights
from roadmask.engines.openvino import calibration as openvino_calibration
from roadmask.engines.openvino.int8 import known_ranges, quantize, quantized_layers, ranges_file
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter, has_vnni

RPN, LAST = "model.rpn.head.conv.0.0.weight", "model.rpn.head.cls_logits.weight"
CHANNELS = 16


@pytest.fixture
def own_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the cache's."""
    monkeypatch.setattr("roadmask.engines.networks.cache.folder", lambda: tmp_path)
    (tmp_path / "ranges").mkdir()
    return tmp_path


def part() -> ov.Model:
    """Two layers of a head, of which the first becomes int8."""
    rng = np.random.default_rng(0)
    given = ops.parameter([1, CHANNELS, 12, 20], np.float32, name="pixels")
    taken: ov.Node = given
    for name, side in ((RPN, 3), (LAST, 1)):
        weights = ops.constant(rng.normal(size=(CHANNELS, CHANNELS, side, side)).astype(np.float32))
        weights.set_friendly_name(name)
        edge = [side // 2] * 2
        taken = ops.convolution(taken, weights, [1, 1], edge, edge, [1, 1])
    return ov.Model([ops.result(taken)], [given], "part")


@pytest.mark.parametrize("vnni", sorted({False, has_vnni()}))
@pytest.mark.parametrize("low", [-3.0, 0.0])
def test_quantised_layers_give_nearly_the_same(vnni: bool, low: float) -> None:
    pixels = np.random.default_rng(1).uniform(low, 3.0, (1, CHANNELS, 12, 20)).astype(np.float32)
    model, plain = part(), part()
    quantize(model, {RPN: (low, 3.0)}, Architecture.LITE, has_vnni=vnni)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    expected, found = (ov.Core().compile_model(each, "CPU", exact)([pixels])[0] for each in (plain, model))
    error = np.abs(found - expected).max() / expected.std()
    assert 0 < error < 0.1
    kinds = [node.get_type_name() for node in model.get_ops()]
    assert kinds.count("FakeQuantize") == 2, "one before the layer and one on its weights; none at the last layer"


def test_a_layer_that_takes_in_nothing_gives_nothing() -> None:
    model, nothing = part(), np.zeros((1, CHANNELS, 12, 20), np.float32)
    quantize(model, {RPN: (0.0, 0.0)}, Architecture.LITE, has_vnni=False)
    found = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([nothing])[0]
    np.testing.assert_array_equal(found, 0)


def test_without_vnni_sums_of_two_products_fit_into_int16() -> None:
    model = part()
    quantize(model, {RPN: (0.0, 3.0)}, Architecture.LITE, has_vnni=False)
    [layer] = [node for name, node in quantized_layers_behind(model) if name == RPN]
    fake = layer.input_value(1).get_node()
    weights, largest = (fake.input_value(place).get_node().get_data() for place in (0, 2))
    steps = np.abs(weights / (largest / 127)).max()
    assert 2 * 255 * np.ceil(steps) < 2**15


def quantized_layers_behind(model: ov.Model) -> list[tuple[str, ov.Node]]:
    """Layers whose weights have a quantiser."""
    found = []
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            weights = node.input_value(1).get_node()
            if weights.get_type_name() == "FakeQuantize":
                found.append((weights.input_value(0).get_node().get_friendly_name(), node))
    return found


def test_ranges_of_other_weights_are_refused() -> None:
    with pytest.raises(EngineError, match=r"ranges of model\.rpn\.head\.conv.* measure them again"):
        quantize(part(), {"another": (0.0, 1.0)}, Architecture.LITE, has_vnni=True)
    given = ops.parameter([1, 4], np.float32)
    with pytest.raises(EngineError, match="ranges of all layers"):
        quantize(ov.Model([ops.relu(given)], [given], "another"), {}, Architecture.LITE, has_vnni=True)


def test_a_resnets_backbone_becomes_int8_and_lites_does_not() -> None:
    given = ops.parameter([1, 4, 8, 8], np.float32)
    weights = ops.constant(np.ones((4, 4, 1, 1), np.float32))
    weights.set_friendly_name("model.backbone.body.layer1.0.conv1.weight")
    layer = ops.convolution(given, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    model = ov.Model([ops.result(layer)], [given], "body")
    assert not list(quantized_layers(model, Architecture.LITE))
    assert [name for name, _ in quantized_layers(model, Architecture.RESNET50)] == [weights.get_friendly_name()]


def test_lite_comes_with_ranges(lite: Weights, own_ranges: Path) -> None:
    ranges = known_ranges(lite)
    assert ranges[RPN][0] < 0 < ranges[RPN][1]
    assert ranges["model.roi_heads.box_head.fc7.weight"][0] == 0, "a ReLU lies before it"


def test_weights_without_ranges_say_how_to_measure_them(lite: Weights, own_ranges: Path) -> None:
    trained_anew = replace(lite, name="mine.safetensors", path=Path("here/mine.safetensors"), sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"engine calibrate --weights here/mine\.safetensors --images DIR"):
        known_ranges(trained_anew)


@pytest.mark.parametrize("content", ["no json", "[]", '{"ranges": {}}', '{"weights_sha256": "other", "ranges": {}}'])
def test_a_damaged_file_is_named(lite: Weights, own_ranges: Path, content: str) -> None:
    ranges_file(lite).write_text(content)
    with pytest.raises(EngineError, match=r"lite-.*\.json is not a file that roadmask wrote.* calibrate again"):
        known_ranges(lite)


def test_calibrating_measures_every_layer_and_is_taken_from_then_on(
    lite: Weights, portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadmask.engines.openvino.calibration.ranges_file", lambda _: tmp_path / "ranges.json")
    shipped, seen = known_ranges(lite), list[int]()
    images = [portrait, portrait[:, ::-1]]
    path = openvino_calibration.calibrate(lite, images, lambda: seen.append(1), input_size=(192, 160))
    measured = json.loads(path.read_text())
    assert len(seen) == 2
    assert measured["weights_sha256"] == lite.sha256
    assert set(measured["ranges"]) == set(shipped)
    for name, (low, high) in measured["ranges"].items():
        assert (low == 0) == (shipped[name][0] == 0), name
        assert 0.2 < high / shipped[name][1] < 2, name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roadmask.engines.openvino.int8.ranges_file", lambda _: path)
        assert known_ranges(lite)[RPN] == tuple(measured["ranges"][RPN])


def test_images_in_which_nothing_is_change_nothing(
    lite: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ranges.json"
    monkeypatch.setattr("roadmask.engines.openvino.calibration.ranges_file", lambda _: path)
    monkeypatch.setattr("roadmask.engines.openvino.calibration._SCORE_MIN", 1.0)
    for images in ([], [np.zeros((192, 160, 3), np.uint8)]):
        with pytest.raises(InputError, match="finds nothing in some of them"):
            openvino_calibration.calibrate(lite, images, input_size=(192, 160))
    assert not path.exists()


def test_the_command_calibrates_on_the_images_that_are_named(
    lite: Weights, portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "street.png"), np.ascontiguousarray(portrait[..., ::-1]))
    seen: list[Image] = []

    def calibrate(weights: Weights, images: Iterable[Image], on_image: Callable[[], None]) -> Path:
        assert weights == lite
        for image in images:
            seen.append(image)
            on_image()
        return tmp_path / "ranges.json"

    monkeypatch.setattr("roadmask.engines.openvino.calibration.calibrate", calibrate)
    ended = CliRunner().invoke(app, ["engine", "calibrate", "--images", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    assert "lite: --precision int8 reads its ranges from" in ended.output
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], portrait)


def test_other_ranges_make_another_network_though_a_compiled_one_is_cached(
    lite: Weights, portrait: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(ranges: dict[str, tuple[float, float]]) -> list[float]:
        monkeypatch.setattr("roadmask.engines.openvino.segmenter.known_ranges", lambda _: ranges)
        segmenter = OpenVinoSegmenter(lite, (1,), score_min=0.05, input_size=(192, 160), threads=2, precision="int8")
        return [float(score) for score in segmenter([portrait])[0].scores]

    shipped = dict(known_ranges(lite))
    assert scores(shipped) != scores({name: (low / 3, high / 3) for name, (low, high) in shipped.items()})
