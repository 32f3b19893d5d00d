"""RoIAlign as sums of rows gives what GridSample gives, in every precision of the networks around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.roi_align import AtlasRoIAlign
from roadmask.engines.openvino.graph import ATLAS, ROWS_NAME, sum_rows_for_roi_align
from roadmask.engines.openvino.segmenter import has_native_bf16, inexact_layers

SHAPE, SIDE, CHANNELS = (192, 1024), 7, 16
"""So wide that bf16 cannot count its pixels."""
BOXES = [
    (10, 20, 200, 150),
    (0, 0, 1024, 192),
    (1023.5, 191.5, 1024, 192),  # samples beyond the last pixel are zero
    (1000, 3, 1024, 191),
    (300.3, 40.7, 302.1, 180.2),
    (0, 0, 0, 0),
]


def graph(*, of_masks: bool) -> ov.Model:
    """The part of an exported graph around RoIAlign; the detector's computes its atlas, the masks' is given it."""
    height, width = AtlasRoIAlign(SHAPE).atlas_shape
    count, samples = len(BOXES), 2 * SIDE
    given = ops.parameter([1, CHANNELS, height, width], np.float32, name=ATLAS if of_masks else "pixels")
    given.output(0).get_tensor().set_names({given.get_friendly_name()})
    grid = ops.parameter([1, count * samples, samples, 2], np.float32, name="grid")
    grid.output(0).get_tensor().set_names({"grid"})
    same = np.eye(CHANNELS, dtype=np.float32)[:, :, None, None]
    atlas = given if of_masks else ops.convolution(given, same, [1, 1], [0, 0], [0, 0], [1, 1])
    sampled = ops.grid_sample(atlas, grid, {"align_corners": True, "mode": "bilinear", "padding_mode": "zeros"})
    pooled = ops.avg_pool(sampled, [2, 2], [0, 0], [0, 0], [2, 2], False)
    by_channel = ops.reshape(pooled, np.array([CHANNELS, count, SIDE, SIDE]), special_zero=False)
    aligned = ops.transpose(by_channel, np.array([1, 0, 2, 3]))
    outputs = {"aligned": ops.convolution(aligned, same, [1, 1], [0, 0], [0, 0], [1, 1])}
    if not of_masks:
        outputs[ATLAS] = atlas
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
    return ov.Model([ops.result(node) for node in outputs.values()], [given, grid], "part")


def run(model: ov.Model, precision: str, inputs: dict[str, Any]) -> tuple[ov.CompiledModel, NDArray[np.float32]]:
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return compiled, np.array(compiled(inputs)["aligned"])


@pytest.fixture(scope="module")
def inputs() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An atlas, and where to sample it; the last corner is zero, as in every atlas."""
    align = AtlasRoIAlign(SHAPE)
    atlas = np.random.default_rng(0).normal(size=(1, CHANNELS, *align.atlas_shape)).astype(np.float32)
    atlas[..., -1, -1] = 0
    grid = align.grid(torch.tensor(BOXES, dtype=torch.float32), SIDE)
    return atlas, grid.reshape(1, -1, 2 * SIDE, 2).numpy()


@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-4), ("bf16", 0.05)])
def test_rows_summed_are_samples_pooled(
    precision: str, tolerance: float, inputs: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> None:
    if precision == "bf16" and not has_native_bf16():
        pytest.skip("needs a processor that multiplies bf16")
    atlas, grid = inputs
    _, expected = run(graph(of_masks=False), "f32", {"pixels": atlas, "grid": grid})
    model = graph(of_masks=False)
    sum_rows_for_roi_align(model)
    compiled, found = run(model, precision, {"pixels": atlas, "grid": grid})
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert not list(inexact_layers(compiled, (ROWS_NAME,)))
    assert compiled.output(ATLAS).shape == ov.Shape([atlas.shape[2] * atlas.shape[3], CHANNELS])


def test_the_masks_take_what_the_detector_gives(inputs: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    atlas, grid = inputs
    _, expected = run(graph(of_masks=True), "f32", {ATLAS: atlas, "grid": grid})
    model = graph(of_masks=True)
    sum_rows_for_roi_align(model)
    rows = np.ascontiguousarray(atlas[0].reshape(CHANNELS, -1).T)
    _, found = run(model, "f32", {ATLAS: rows, "grid": grid})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_another_graph_is_refused() -> None:
    given = ops.parameter([1, 4], np.float32)
    with pytest.raises(EngineError, match="one GridSample, got 0"):
        sum_rows_for_roi_align(ov.Model([ops.relu(given)], [given], "another"))
