"""ONNX Runtime keeps the contract of every engine; a damaged graph ends in an error."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roadmask.engines import EngineError, Segmenter
from roadmask.engines.classes import LITE_CATEGORY_IDS, PEDESTRIAN
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights, find_weights
from roadmask.engines.onnxruntime.segmenter import OnnxRuntimeSegmenter
from support.segmenter_contract import PortraitContract

SHAPE = (192, 160)
FEW = GraphSettings(proposals=32, detections=5)
SLOTS = {"proposal_keep": (1, 5), "detection_keep": (1, 3)}


class TestOnnxGraph(PortraitContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        return OnnxRuntimeSegmenter(
            lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, precision="fp16", threads=2, settings=FEW
        )


class NeverConverges:
    """A session whose NMS changes something in each run."""

    runs = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, shape=list(shape)) for name, shape in SLOTS.items()]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in ("converged", *(f"{name}_out" for name in SLOTS))]

    def run(self, _names: list[str], inputs: dict[str, Any]) -> list[Any]:
        NeverConverges.runs += 1
        return [np.zeros(1), *(1 - inputs[name] for name in SLOTS)]


def test_nms_that_never_converges_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NeverConverges, "runs", 0)
    monkeypatch.setattr("onnxruntime.InferenceSession", NeverConverges)
    files = SimpleNamespace(detector=Path("d"), masks=Path("m"))
    monkeypatch.setattr("roadmask.engines.onnxruntime.graphs.exported_graphs", lambda *_: files)
    segmenter = OnnxRuntimeSegmenter(
        find_weights("lite"), [PEDESTRIAN], score_min=0.5, input_size=(64, 64), threads=1, graphs="static"
    )
    with pytest.raises(EngineError, match="to converge in 9 runs, it did not"):
        segmenter([np.zeros((64, 64, 3), np.uint8)])
    assert NeverConverges.runs == 1 + 5 + 3, "each run decides one more box, and the last one sees that nothing changed"


def test_the_static_graphs_are_fp32_one_image_at_a_time() -> None:
    with pytest.raises(ValueError, match="expected fp32 and a batch of 1 for the static graphs, got fp16 and 1"):
        OnnxRuntimeSegmenter(find_weights("lite"), [PEDESTRIAN], score_min=0.5, precision="fp16", graphs="static")
