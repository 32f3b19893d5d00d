"""Rewrites exported graphs with faster operations that OpenVINO has and ONNX lacks.

RoIAlign is exported as GridSample with an average pooling behind it. GridSample reads single numbers from all over each
channel; with the channels of a pixel side by side, RoIAlign is a sum of whole rows instead, 16 to a bin (4 samples of
4 pixels each), each times its weight: what other fields call an embedding bag. Same numbers but for the order of sums.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from roadmask.engines.errors import EngineError

ROWS_NAME = "roi_align_rows"
"""Prefix of the names of the layers that sum rows."""
_SAMPLES = 2
"""Number of samples along each side of a bin."""
ATLAS = "atlas"


def sum_rows_for_roi_align(model: ov.Model) -> None:
    """Replaces GridSample and its pooling in place; the model's atlas is (H * W, C) from then on.

    Args:
        model: of the detector or of the masks, see static_graph.py.

    Raises:
        EngineError: the graph is not what roadmask exports.
    """
    found = [node for node in model.get_ordered_ops() if node.get_type_name() == "GridSample"]
    if len(found) != 1:
        raise EngineError(
            f"expected a graph with one GridSample, got {len(found)}: delete the graph and export it again."
        )
    [sampled] = found
    pooled = _only_consumer(sampled, "AvgPool")
    aligned = _only_consumer(_only_consumer(pooled, "Reshape"), "Transpose")
    _, channels, height, width = sampled.input_value(0).get_shape()
    table = _as_table(model, sampled.input_value(0))
    boxes, _, side, _ = aligned.output(0).get_shape()

    rows, weights = _bags(sampled.input_value(1), (height, width), boxes, side)
    rows = ops.convert(rows, "i32", name=f"{ROWS_NAME}_places")
    bags = ops.embedding_bag_packed_sum(table, rows, weights, name=ROWS_NAME)
    by_box = ops.reshape(bags, np.array([boxes, side * side, channels]), special_zero=False)
    result = ops.reshape(
        ops.transpose(by_box, np.array([0, 2, 1])), np.array([boxes, channels, side, side]), special_zero=False
    )
    for target in aligned.output(0).get_target_inputs():
        target.replace_source_output(result.output(0))
    # As outputs they stay fp32 where the networks are bf16, see `DetectorOutputs.coordinates`.
    first = np.array([0, 0]), np.array([1, 1]), np.array([1, 1])
    model.add_results([ops.result(ops.slice(each, *first)) for each in (rows, weights, bags)])
    model.validate_nodes_and_infer_types()


def _as_table(model: ov.Model, atlas: ov.Output) -> ov.Output:
    """Returns the atlas with a row for each pixel, (H * W, C), and has the model take or give it so."""
    _, channels, height, width = atlas.get_shape()
    shape = [height * width, channels]
    node = atlas.get_node()
    if node.get_type_name() == "Parameter":
        parameter = ops.parameter(shape, np.float32, name=ATLAS)
        parameter.output(0).get_tensor().set_names({ATLAS})
        model.add_parameters([parameter])
        model.remove_parameter(node)
        return parameter.output(0)
    given = [t for t in atlas.get_target_inputs() if t.get_node().get_type_name() == "Result"]
    # Turned once and nowhere else: then it costs nothing, as convolutions keep the channels last anyway.
    turned = ops.transpose(atlas, np.array([0, 2, 3, 1]))
    table = ops.reshape(turned, np.array(shape), special_zero=False).output(0)
    for result in given:
        atlas.get_tensor().set_names(set())
        result.replace_source_output(table)
        table.get_tensor().set_names({ATLAS})
    return table


def _bags(grid: ov.Output, size: tuple[int, int], boxes: int, side: int) -> tuple[ov.Node, ov.Node]:
    """Returns which rows of the table each bin sums, and their weights, (boxes * side * side, 16) each, float."""
    height, width = size
    last = np.array([width - 1, height - 1], np.float32)
    one = np.float32(1)
    place = ops.multiply(ops.add(grid, one), last / 2)
    place = ops.minimum(ops.maximum(place, np.float32(0)), last)
    # Samples of a box lie row by row; bring those of a bin together.
    split = ops.reshape(place, np.array([boxes, side, _SAMPLES, side, _SAMPLES, 2]), special_zero=False)
    turned = ops.transpose(split, np.array([0, 1, 3, 2, 4, 5]))
    samples = ops.reshape(turned, np.array([boxes * side * side, _SAMPLES**2, 2]), special_zero=False)
    low = ops.floor(samples)
    high = ops.minimum(ops.add(low, one), last)
    part = ops.subtract(samples, low)
    left, top = ops.split(low, np.int64(2), 2).outputs()
    right, bottom = ops.split(high, np.int64(2), 2).outputs()
    to_right, to_bottom = ops.split(part, np.int64(2), 2).outputs()
    upper, lower = ops.multiply(top, np.float32(width)), ops.multiply(bottom, np.float32(width))
    rows = [ops.add(y, x) for y in (upper, lower) for x in (left, right)]
    across = (ops.subtract(one, to_right), to_right)
    share = np.float32(1 / _SAMPLES**2)
    down = (ops.multiply(ops.subtract(one, to_bottom), share), ops.multiply(to_bottom, share))
    weights = [ops.multiply(y, x) for y in down for x in across]
    shape = np.array([boxes * side * side, 4 * _SAMPLES**2])
    gathered = (ops.reshape(ops.concat(each, 2), shape, special_zero=False) for each in (rows, weights))
    rows_of_bins, weights_of_bins = gathered
    return rows_of_bins, weights_of_bins


def _only_consumer(node: ov.Node, kind: str) -> ov.Node:
    targets = list(node.output(0).get_target_inputs())
    if len(targets) != 1 or targets[0].get_node().get_type_name() != kind:
        raise EngineError(
            f"expected one {kind} behind {node.get_friendly_name()}, got "
            f"{[target.get_node().get_type_name() for target in targets]}: delete the graph and export it again."
        )
    only: ov.Node = targets[0].get_node()
    return only
