"""What `load_segmenter` accepts, and what importing costs."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roadmask.engines
from roadmask.engines import ConfigError, EngineError, WeightsError, engine_report, load_segmenter, table
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.torch.segmenter import TorchSegmenter

HEAVY = ("torch", "torchvision", "openvino", "onnx", "ray", "zarr", "av", "matplotlib", "typer")


def run_python(program: str, *arguments: str) -> str:
    """Runs a program in an interpreter of its own and returns what it printed."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Makes packages look as if they were not installed."""

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in packages else find_spec(name, package)

    monkeypatch.setattr(table, "find_spec", find)


class TestArguments:
    def test_default_is_openvino(self) -> None:
        segmenter = load_segmenter(threads=1, input_size="64x96")
        assert isinstance(segmenter, OpenVinoSegmenter)
        assert segmenter.info.weights == "lite"
        assert segmenter.info.class_names == {1: "pedestrian", 3: "car"}
        assert segmenter.info.score_min == 0.5

    def test_torch_on_request(self) -> None:
        segmenter = load_segmenter(engine="torch", classes=["truck", "person"], score_min=0.3)
        assert isinstance(segmenter, TorchSegmenter)
        assert segmenter.info.class_names == {1: "pedestrian", 8: "truck"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"engine": "tensorflow"}, "auto, openvino, torch, tensorrt or torch-cuda, got 'tensorflow'"),
            ({"classes": ["pedestrain"]}, "did you mean 'pedestrian'"),
            ({"classes": ["zebra"]}, "does not know the class 'zebra'"),  # COCO does, lite does not
            ({"classes": []}, "at least one class"),
            ({"score_min": 0.0}, r"score_min from 0\.05 to 1, got 0\.0"),
            ({"score_min": float("nan")}, "score_min"),
            ({"threads": 0}, "at least one thread"),
            ({"input_size": "100x100"}, "multiples of 32"),
            ({"input_size": 384}, "two integers, got 384"),
            ({"precision": "int4"}, "expected the precision auto, .*got 'int4'"),
            (
                {"precision": "int8", "engine": "torch"},
                "for the engine torch, got int8: choose the engine openvino or tensorrt",
            ),
            ({"precision": "bf16", "engine": "torch"}, "choose the engine openvino"),
            (
                {"precision": "fp16", "engine": "openvino"},
                "expected bf16 or fp32 or int8 for .*, got fp16",
            ),
            (
                {"precision": "bf16", "engine": "tensorrt"},
                "fp16 or int8 or fp32 for the engine tensorrt, got bf16",
            ),
        ],
    )
    def test_what_is_not_understood(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            load_segmenter(**arguments)

    def test_weights_that_are_not_there(self) -> None:
        with pytest.raises(WeightsError, match="not found"):
            load_segmenter("mine.safetensors")

    def test_precision_on_request(self) -> None:
        assert load_segmenter(precision="fp32").info.precision == "fp32"

    def test_bf16_is_not_emulated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("roadmask.engines.openvino.segmenter.has_native_bf16", lambda: False)
        assert load_segmenter().info.precision == "fp32"
        with pytest.raises(EngineError, match="use precision fp32"):
            load_segmenter(precision="bf16")


class TestEngines:
    def test_auto_says_what_it_chose(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="roadmask"):
            load_segmenter()
        assert "engine openvino" in caplog.text

    def test_auto_without_openvino_warns(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        hide(monkeypatch, "openvino")
        assert load_segmenter().info.engine == "torch"
        assert "openvino is not installed" in caplog.text

    def test_missing_packages_are_named_with_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hide(monkeypatch, "openvino", "torch")
        with pytest.raises(EngineError, match=r"torch, which is not installed: pip install 'roadmask\[torch\]'"):
            load_segmenter(engine="torch")
        with pytest.raises(EngineError, match="openvino, which is not installed: pip install"):
            load_segmenter(engine="openvino")
        with pytest.raises(EngineError, match="openvino"):
            load_segmenter()

    def test_report(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = {row.engine: row for row in engine_report()}
        assert set(rows) == {"openvino", "torch", "export to openvino"}
        assert all(row.works and row.detail and not row.install for row in rows.values())
        hide(monkeypatch, "openvino")
        [missing] = [row for row in engine_report() if row.engine == "openvino"]
        assert not missing.works
        assert missing.install.startswith("pip install")


class TestImports:
    def test_public_names_are_sorted_and_there(self) -> None:
        names = roadmask.engines.__all__
        assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
        assert all(getattr(roadmask.engines, name) is not None for name in names)
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = roadmask.engines.no_such_name

    def test_importing_is_light(self) -> None:
        program = (
            "import sys, roadmask.engines as e; e.load_segmenter, e.ScriptedSegmenter, e.engine_report;"
            f"print([name for name in {HEAVY} if name in sys.modules])"
        )
        assert run_python(program).strip() == "[]"

    def test_openvino_cannot_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))  # where it would keep its client id
        program = (
            "import roadmask.engines.openvino.segmenter as e, openvino_telemetry as t; e.describe_device();"
            "print(t.Telemetry('a', '1', 'b', backend='ga4', enable_opt_in_dialog=False).consent)"
        )
        assert run_python(program).strip() == "False"
        assert not list(tmp_path.iterdir())

    def test_a_cached_graph_runs_without_torch(
        self, build_openvino: Callable[..., OpenVinoSegmenter], tmp_path: Path, portrait: Any
    ) -> None:
        [expected] = build_openvino(precision="fp32")([portrait])
        np.save(tmp_path / "portrait.npy", portrait)
        program = (
            "import sys\n"
            "for name in ('torch', 'torchvision', 'onnx', 'onnxscript'): sys.modules[name] = None\n"
            "import numpy as np\n"
            "from roadmask.engines.openvino.segmenter import OpenVinoSegmenter\n"
            "from roadmask.engines.networks.weights import find_weights\n"
            "from roadmask.engines.classes import LITE_CATEGORY_IDS as ids\n"
            "segmenter = OpenVinoSegmenter(find_weights('lite'), ids, score_min=0.05, input_size=(192, 160),\n"
            "                              threads=2, precision='fp32')\n"
            "[found] = segmenter([np.load(sys.argv[1])])\n"
            "print(found.scores.tobytes().hex())"
        )
        assert run_python(program, str(tmp_path / "portrait.npy")).strip() == expected.scores.tobytes().hex()

    def test_a_new_shape_without_torch_says_what_to_install(self, tmp_path: Path) -> None:
        program = (
            "import sys\n"
            "sys.modules['torch'] = None\n"
            "import numpy as np, os\n"
            "os.environ['ROADMASK_CACHE'] = sys.argv[1]\n"
            "from roadmask.engines import EngineError, load_segmenter\n"
            "try: load_segmenter(input_size='64x64').warm_up((64, 64))\n"
            "except EngineError as error: print(error)"
        )
        assert "pip install 'roadmask[torch]'" in run_python(program, str(tmp_path))
