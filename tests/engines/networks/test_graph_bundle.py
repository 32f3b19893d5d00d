"""The graphs that come with the package are those that torch exports, byte for byte."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks import graphs as instrument
from benchmarks.graphs import make_bundle, unchanged
from roadmask.engines import EngineError
from roadmask.engines.letterbox import INPUT_SIZES
from roadmask.engines.networks import export
from roadmask.engines.networks.export import exported_graphs, graph_key
from roadmask.engines.networks.graph_bundle import GraphBundle, bundle_path, bundled_graphs, bundled_sizes
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights

ANEW = "python -m benchmarks.graphs"
SETTINGS = GraphSettings()


def test_the_graphs_of_every_input_size_come_with_lite(lite: Weights) -> None:
    assert bundled_sizes(lite) == tuple(f"{height}x{width}" for height, width in INPUT_SIZES)
    for shape in INPUT_SIZES:
        key = graph_key(lite, shape, GraphSettings.of(lite.architecture))
        graphs = bundled_graphs(lite, shape, key)
        assert graphs is not None, f"the weights or the code of the graphs changed: run {ANEW}"
        assert min(map(len, graphs)) > 2_000_000
        assert not any(b"/site-packages/" in graph for graph in graphs), "notes of the exporter name folders"
    assert bundle_path(lite).stat().st_size < 100_000


@pytest.mark.ci
def test_torch_exports_the_same_bytes(lite: Weights) -> None:
    assert unchanged(lite) == GraphBundle.from_bytes(bundle_path(lite).read_bytes()), f"run {ANEW}"


@pytest.mark.bars
def test_torch_exports_the_same_bytes_for_every_input_size(lite: Weights) -> None:
    packed = GraphBundle.from_bytes(bundle_path(lite).read_bytes())
    assert make_bundle(lite, INPUT_SIZES) == packed, f"run {ANEW}"


class TestSmall:
    """A bundle of a made-up network."""

    @pytest.fixture
    def tiny(self, lite: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "cache"))
        path = tmp_path / "tiny.safetensors"
        half, same = np.arange(64, dtype=np.float16), np.zeros(32, np.float32)
        save_file({"half": half, "same": same, "again": same, "small": same[:2]}, path)
        weights = replace(lite, name="tiny", path=path)
        one = half.astype(np.float32).tobytes()
        monkeypatch.setattr(instrument, "export_graphs", lambda *_: (b"a" + one + b"b" + same.tobytes(), b"masks"))
        bundle_path(weights).write_bytes(make_bundle(weights, [(64, 96)]).to_bytes())
        monkeypatch.setattr(export, "export_graphs", lambda *_: pytest.fail("exported by torch"))
        return weights

    def test_holds_no_weights_and_gives_the_files_back(self, tiny: Weights) -> None:
        bundle = GraphBundle.from_bytes(bundle_path(tiny).read_bytes())
        assert bundle.between == b"abmasks"
        files = exported_graphs(tiny, (64, 96), SETTINGS)
        expected = b"a" + np.arange(64, dtype=np.float32).tobytes() + b"b" + bytes(128)
        assert (files.detector.read_bytes(), files.masks.read_bytes()) == (expected, b"masks")

    def test_graphs_of_other_weights_settings_or_code_are_not_taken(
        self, tiny: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "export_graphs", lambda *_: (b"anew", b""))
        for weights, shape, settings in (
            (replace(tiny, sha256="0" * 64), (64, 96), SETTINGS),
            (tiny, (64, 96), GraphSettings(nms_steps=8)),
            (tiny, (96, 64), SETTINGS),
        ):
            assert exported_graphs(weights, shape, settings).detector.read_bytes() == b"anew"
        monkeypatch.setattr(export, "_GRAPH_SOURCES", ("models.py",))
        assert exported_graphs(tiny, (64, 96), SETTINGS).detector.read_bytes() == b"anew"

    def test_new_code_that_exports_the_same_gets_new_keys_alone(
        self, tiny: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(instrument, "INPUT_SIZES", [(64, 96)])
        monkeypatch.setattr(export, "_GRAPH_SOURCES", ("models.py",))
        before = GraphBundle.from_bytes(bundle_path(tiny).read_bytes())
        after = unchanged(tiny)
        assert after is not None
        assert (after.recipes, after.between) == (before.recipes, before.between)
        assert after.keys == {"64x96": graph_key(tiny, (64, 96), SETTINGS)} != before.keys
        monkeypatch.setattr(instrument, "export_graphs", lambda *_: (b"other", b"masks"))
        assert unchanged(tiny) is None

    def test_without_torch_another_size_says_what_to_install(
        self, tiny: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_torch(*_: object) -> tuple[bytes, bytes]:
            raise ImportError(name="onnx")

        monkeypatch.setattr(export, "export_graphs", no_torch)
        with pytest.raises(EngineError) as raised:
            exported_graphs(tiny, (64, 64), SETTINGS)
        assert str(raised.value) == (
            "preparing tiny for the input size 64x64 needs onnx, which is not installed: "
            "pip install 'roadmask[torch]', or use an input size that comes with roadmask: 64x96."
        )
        bundle_path(tiny).unlink()
        with pytest.raises(EngineError, match=r"which is not installed: pip install 'roadmask\[torch\]'$"):
            exported_graphs(tiny, (64, 64), SETTINGS)

    @pytest.mark.parametrize("kept", [0, 5, 12, -9])
    def test_a_damaged_file_is_refused(self, tiny: Weights, kept: int) -> None:
        path = bundle_path(tiny)
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(EngineError, match=r"tiny\.graphs is damaged .*: reinstall roadmask"):
            exported_graphs(tiny, (64, 96), SETTINGS)

    def test_a_damaged_middle_is_refused(self, tiny: Weights) -> None:
        path = bundle_path(tiny)
        content = bytearray(path.read_bytes())
        content[-20:-10] = bytes(10)
        path.write_bytes(content)
        with pytest.raises(EngineError, match=r"tiny\.graphs is damaged"):
            exported_graphs(tiny, (64, 96), SETTINGS)

    def test_weights_elsewhere_have_none(self, tiny: Weights, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        path = shutil.copy(tiny.path, tmp_path / "other")
        assert bundled_sizes(replace(tiny, path=Path(path))) == ()
