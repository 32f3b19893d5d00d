"""int8 in OpenVINO, for processors that multiply no bf16: quantisers around the layers that take most of the time.

A quantiser stands in front of what a layer takes in, one scale for all of it, and one on its weights, a scale for each
channel (symmetric, as in Jacob et al., Quantization and Training of Neural Networks, 2018); OpenVINO then multiplies
int8 and sums int32. Scales come from how large the numbers are on real images, which `openvino_calibration.py`
measures. The last layers of each head stay in fp32, as do boxes: each step of theirs would move a score or a corner. So
does lite's backbone, whose depthwise layers keep most of it in fp32 anyway: quantising the rest of it saved nothing and
cost accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from roadmask.engines.errors import ConfigError, EngineError
from roadmask.engines.networks import cache
from roadmask.engines.networks.weights import Architecture, Weights

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest number that a layer takes in, by the name of its weights; levels share those of the RPN."""

_LAYERS = (".backbone.fpn.", ".rpn.head.conv.", ".box_head.", ".mask_head.")
_BACKBONE = ".backbone.body."
_LEVELS = 256
_WEIGHT_LEVELS = 255
_LEAST = 1e-9
"""Smallest upper bound of a range, for layers whose inputs or weights are all zero: no scale may be zero."""
_SATURATED = np.float32(127 / 63)
"""Largest weight without VNNI, where two products are added in int16: half of int8, so that the sum fits."""


def quantize(model: ov.Model, ranges: Ranges, architecture: Architecture, *, has_vnni: bool) -> None:
    """Inserts quantisers into a graph, in place.

    Args:
        model: of the detector or of the masks, see static_graph.py.
        ranges: of all its layers that become int8.
        architecture: of the network.
        has_vnni: whether the processor sums products of int8 in int32.

    Raises:
        EngineError: the ranges are of other weights, or the graph has no such layers.
    """
    layers = list(quantized_layers(model, architecture))
    unknown = sorted({name for name, _ in layers} - set(ranges))
    if unknown or not layers:
        raise EngineError(
            f"the ranges of {', '.join(unknown[:3]) or 'all layers'} are unknown: measure them again with "
            "`roadmask engine calibrate`."
        )
    quantized: dict[tuple[str, int, str], ov.Output] = {}
    for name, node in layers:
        taken = node.input_value(0)
        # Layers that take in the same numbers in the same range share a quantiser.
        key = (taken.get_node().get_friendly_name(), taken.get_index(), name)
        if key not in quantized:
            quantized[key] = _quantized(taken, *ranges[name])
        node.input(0).replace_source_output(quantized[key])
        node.input(1).replace_source_output(_quantized_weights(node.input_value(1), has_vnni=has_vnni))
    model.validate_nodes_and_infer_types()


def quantized_layers(model: ov.Model, architecture: Architecture) -> Iterator[tuple[str, ov.Node]]:
    """Yields the layers that become int8, each with the name of its weights, which the RPN's levels share."""
    light = architecture in (Architecture.LITE, Architecture.LITE2)
    kinds = _LAYERS if light else (*_LAYERS, _BACKBONE)
    for node in model.get_ordered_ops():
        if node.get_type_name() in {"Convolution", "MatMul"}:
            weights = node.input_value(1).get_node()
            name = weights.get_friendly_name()
            if weights.get_type_name() == "Constant" and any(kind in f".{name}" for kind in kinds):
                yield name, node


def _quantized(taken: ov.Output, low: float, high: float) -> ov.Output:
    largest = np.float32(max(-low, high, _LEAST))
    bounds = np.float32(0) if low >= 0 else -largest * np.float32(128 / 127), largest
    return ops.fake_quantize(taken, *bounds, *bounds, _LEVELS).output(0)


def _quantized_weights(weights: ov.Output, *, has_vnni: bool) -> ov.Output:
    values = weights.get_node().get_data().astype(np.float32)
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    largest = np.maximum(largest, np.float32(_LEAST)) * (1 if has_vnni else _SATURATED)
    return ops.fake_quantize(weights, -largest, largest, -largest, largest, _WEIGHT_LEVELS).output(0)


def ranges_file(weights: Weights) -> Path:
    """Returns the file of the ranges that were measured on this machine."""
    return cache.folder() / "ranges" / f"{weights.architecture.value}-{weights.sha256[:16]}.json"


def known_ranges(weights: Weights) -> Ranges:
    """Returns the ranges of weights: those measured on this machine, or those that come with lite.

    Raises:
        ConfigError: there are none; the message says how to measure them.
        EngineError: the file is not what roadmask wrote.
    """
    measured = ranges_file(weights)
    if measured.is_file():
        return _read(measured.read_bytes(), weights, measured)
    shipped = files("roadmask.engines.data") / "lite-int8-ranges.json"
    if weights.architecture is Architecture.LITE:
        content = shipped.read_bytes()
        if json.loads(content)["weights_sha256"] == weights.sha256:
            return _read(content, weights, Path(str(shipped)))
    raise ConfigError(
        f"int8 needs the ranges of {weights.name}, measured on real images: run roadmask engine calibrate "
        f"--weights {weights.argument} --images DIR, where DIR is a folder of street images, or choose precision fp32."
    )


def _read(content: bytes, weights: Weights, path: Path) -> Ranges:
    try:
        written = json.loads(content)
        of_these = written["weights_sha256"] == weights.sha256
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in written["ranges"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(
            f"{path} is not a file that roadmask wrote ({error}): delete it and calibrate again."
        ) from error
    if not of_these:
        raise EngineError(f"{path} is not a file that roadmask wrote for these weights: delete it and calibrate again.")
    return ranges
