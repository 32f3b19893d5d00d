"""Plans of lite for each chip, built by the real TensorRT for RTX without a GPU; other kinds: test_build_kinds.py."""

from __future__ import annotations

import onnx
import pytest

from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx, unfit_nodes
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.build import Target, build_plan

SHAPE = (384, 640)
PLANS = [
    (precision, batch, chip) for precision in ("fp16", "fp32") for batch in (1, 4) for chip in ("sm89", "sm80", "sm120")
]


@pytest.mark.parametrize(
    ("precision", "batch", "chip"), [PLANS[0], *(pytest.param(*plan, marks=pytest.mark.ci) for plan in PLANS[1:])]
)
def test_lite_builds_for_each_chip(lite: Weights, precision: GpuPrecision, batch: int, chip: str) -> None:
    path = typed_onnx(lite, SHAPE, batch, precision)
    model = onnx.load(path)
    assert unfit_nodes(model) == []
    assert len(model.graph.node) > 300
    kinds = {onnx.TensorProto.DataType.Name(weights.data_type) for weights in model.graph.initializer}
    assert ("FLOAT16" in kinds) == (precision == "fp16")
    phases: list[str] = []
    plan = build_plan(path, Target("tensorrt-rtx", chip), batch, SHAPE, phases.append)
    assert len(plan) > 10e6, "the weights are in the plan"
    assert phases
