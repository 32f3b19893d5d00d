"""Plans of lite for each chip, built by the real TensorRT for RTX without a GPU; other kinds: test_build_kinds.py."""

from __future__ import annotations

import onnx
import pytest

from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx, unfit_nodes
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.build import Target, build_plan

SMALL, USUAL = (64, 96), (384, 640)
"""Input sizes: a plan has the same layers at each, and a small one is built sooner."""
PLANS = [
    (SMALL, precision, batch, chip)
    for precision in ("fp16", "fp32")
    for batch in (1, 4)
    for chip in ("sm89", "sm80", "sm120")
]
PLANS += [(USUAL, "fp16", 4, "sm89"), (USUAL, "fp32", 1, "sm89")]


@pytest.mark.parametrize(
    ("shape", "precision", "batch", "chip"),
    [PLANS[0], *(pytest.param(*plan, marks=pytest.mark.ci) for plan in PLANS[1:])],
)
def test_lite_builds_for_each_chip(
    lite: Weights, shape: tuple[int, int], precision: GpuPrecision, batch: int, chip: str
) -> None:
    path = typed_onnx(lite, shape, batch, precision)
    model = onnx.load(path)
    assert unfit_nodes(model) == []
    assert len(model.graph.node) > 300
    kinds = {onnx.TensorProto.DataType.Name(weights.data_type) for weights in model.graph.initializer}
    assert ("FLOAT16" in kinds) == (precision == "fp16")
    phases: list[str] = []
    plan = build_plan(path, Target("tensorrt-rtx", chip), batch, shape, phases.append)
    assert len(plan) > 10e6, "the weights are in the plan"
    assert phases
