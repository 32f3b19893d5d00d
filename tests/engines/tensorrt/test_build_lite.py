"""Plans of lite for each chip, built by the real TensorRT for RTX without a GPU; other kinds: test_build_kinds.py."""

from __future__ import annotations

import onnx
import pytest

from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx, unfit_nodes
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.build import Target, build_plan

SMALL = (64, 96)
"""A small input size: a plan has the same layers at every size."""
TARGETS = ("sm80", "sm89", "sm120")


def assert_builds(lite: Weights, precision: GpuPrecision, batch: int, shape: tuple[int, int]) -> None:
    path = typed_onnx(lite, shape, batch, precision)
    model = onnx.load(path)
    assert unfit_nodes(model) == []
    assert len(model.graph.node) > 300
    kinds = {onnx.TensorProto.DataType.Name(weights.data_type) for weights in model.graph.initializer}
    assert ("FLOAT16" in kinds) == (precision == "fp16")
    phases: list[str] = []
    for chip in TARGETS:
        plan = build_plan(path, Target("tensorrt-rtx", chip), batch, shape, phases.append)
        assert len(plan) > 10e6, "the weights are in the plan"
    assert phases


@pytest.mark.parametrize(("precision", "batch"), [("fp32", 1), ("fp16", 4)])
def test_lite_builds_for_each_chip(lite: Weights, precision: GpuPrecision, batch: int) -> None:
    assert_builds(lite, precision, batch, SMALL)


@pytest.mark.ci  # exporting and building at the size that users build for takes a minute
@pytest.mark.parametrize(("precision", "batch"), [("fp32", 4), ("fp16", 1)])
def test_lite_builds_for_each_chip_at_the_usual_size(lite: Weights, precision: GpuPrecision, batch: int) -> None:
    assert_builds(lite, precision, batch, (384, 640))
