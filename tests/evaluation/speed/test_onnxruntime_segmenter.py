"""The graphs in ONNX Runtime, to compare with: a graph that is damaged ends, too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the dev group")

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import find_weights
from roadmask.evaluation.speed.onnxruntime_segmenter import OnnxRuntimeSegmenter

SLOTS = {"proposal_keep": (1, 5), "detection_keep": (1, 3)}


class NeverSettles:
    """A session whose NMS changes something in each run."""

    runs = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, shape=list(shape)) for name, shape in SLOTS.items()]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in ("converged", *(f"{name}_out" for name in SLOTS))]

    def run(self, _names: list[str], inputs: dict[str, Any]) -> list[Any]:
        NeverSettles.runs += 1
        return [np.zeros(1), *(1 - inputs[name] for name in SLOTS)]


def test_nms_that_never_converges_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NeverSettles, "runs", 0)
    module = "roadmask.evaluation.speed.onnxruntime_segmenter"
    monkeypatch.setattr(f"{module}.onnxruntime.InferenceSession", NeverSettles)
    monkeypatch.setattr(f"{module}.exported_graphs", lambda *_: SimpleNamespace(detector=Path("d"), masks=Path("m")))
    segmenter = OnnxRuntimeSegmenter(
        find_weights("lite"), score_min=0.5, input_size=(64, 64), threads=1, settings=GraphSettings()
    )
    with pytest.raises(EngineError, match="did not converge"):
        segmenter([np.zeros((64, 64, 3), np.uint8)])
    assert NeverSettles.runs == 1 + 5 + 3, "each run settles one more box, and the last one sees that nothing changed"
