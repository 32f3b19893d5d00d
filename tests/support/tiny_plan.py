"""A plan for the scripted TensorRT that takes and gives what the network's does, and computes next to nothing."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from roadmask.engines.networks.graph_io import INPUT_TYPES, OUTPUT_TYPES

_TYPES = {"uint8": TensorProto.UINT8, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
_SLOTS, _CLASSES, _ANCHORS, _CANDIDATES = 3, 7, 8, 6


def tiny_plan(shape: tuple[int, int], batch: int, *, runs: int = 1) -> bytes:
    """Returns a plan whose scores are each frame's mean brightness, and whose NMS converges in this number of runs.

    Each run halves where NMS stopped, and the last one finds it small enough. A black frame needs a run more, as with
    a real network, where all its anchors tie.
    """
    height, width = shape
    sizes: dict[str, list[int | str]] = {
        "frames": [batch, "h", "w", 3],
        "rows": [2, height],
        "row_weights": [2, height],
        "columns": [2, width],
        "column_weights": [2, width],
        "content": [2],
        "classes": [_CLASSES],
        "score_min": [1],
        "proposal_keep": [batch, 1, _ANCHORS],
        "detection_keep": [batch, _CANDIDATES],
        "boxes": [batch, _SLOTS, 4],
        "scores": [batch, _SLOTS],
        "labels": [batch, _SLOTS],
        "masks": [batch, _SLOTS, 28, 28],
        "found": [batch],
        "converged": [batch],
        "proposal_keep_out": [batch, 1, _ANCHORS],
        "detection_keep_out": [batch, _CANDIDATES],
    }
    held = {
        "half": np.array(0.5, np.float32),
        "black": np.array(0, np.float32),
        "small": np.array(1.2 * 0.5 ** (runs - 1), np.float32),
        "axes": np.array([1, 2, 3]),
        "last": np.array([1, 2]),
        "slots": np.array([batch, _SLOTS]),
        "the_boxes": np.tile(np.array([0, 0, 16, 16], np.float32), (batch, _SLOTS, 1)),
        "the_labels": np.ones((batch, _SLOTS), np.int32),
        "the_masks": np.ones((batch, _SLOTS, 28, 28), np.float32),
        "the_count": np.full(batch, _SLOTS, np.int32),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Expand", ["column", "slots"], ["scores"]),
        *(helper.make_node("Identity", [f"the_{name}"], [name]) for name in ("boxes", "labels", "masks")),
        helper.make_node("Identity", ["the_count"], ["found"]),
        helper.make_node("Mul", ["proposal_keep", "half"], ["proposal_keep_out"]),
        helper.make_node("Mul", ["detection_keep", "half"], ["detection_keep_out"]),
        helper.make_node("ReduceMax", ["proposal_keep", "last"], ["largest"], keepdims=0),
        helper.make_node("Equal", ["mean", "black"], ["is_black"]),
        helper.make_node("Cast", ["is_black"], ["more"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["largest", "more"], ["again"]),
        helper.make_node("Add", ["largest", "again"], ["left"]),
        helper.make_node("Less", ["left", "small"], ["is_small"]),
        helper.make_node("Cast", ["is_small"], ["converged"], to=TensorProto.FLOAT),
    ]
    held["one"] = np.array([1])
    inputs, outputs = (
        [helper.make_tensor_value_info(name, _TYPES[kind], sizes[name]) for name, kind in kinds.items()]
        for kinds in (INPUT_TYPES, OUTPUT_TYPES)
    )
    weights = [numpy_helper.from_array(values, name) for name, values in held.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content
