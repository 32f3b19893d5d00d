"""Measures the ranges of the numbers in a network on real images, for int8 in OpenVINO (see int8.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from roadmask.engines.errors import InputError
from roadmask.engines.networks import cache
from roadmask.engines.networks.weights import Weights
from roadmask.engines.openvino.int8 import quantized_layers, ranges_file
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.segmenter import Image

IMAGES = 32
"""Default number of images; ranges hardly grow with more."""
_SHARE = 0.9999
"""Share of an image's numbers that a range holds: a few outliers would make the steps coarse for all."""
_SCORE_MIN = 0.05
"""Minimum score, so low that the mask head also sees uncertain instances."""
_TAKEN = "taken "
"""Prefix of the names of the layers' input tensors; a number and the layer's name follow."""


def calibrate(
    weights: Weights,
    images: Iterable[Image],
    on_image: Callable[[], None] = lambda: None,
    *,
    input_size: tuple[int, int] | None = None,
) -> Path:
    """Measures ranges on images, in fp32, and stores them in the cache.

    Args:
        weights: of the network.
        images: real ones, of what the cameras will see.
        on_image: called after each.
        input_size: of the network's input; chosen by each image's aspect by default.

    Returns:
        The file that `known_ranges` reads from now on.

    Raises:
        InputError: nothing that looks like an instance is in the images, so that the mask head took in nothing; what
            is known of these weights stays as it is.
        EngineError: OpenVINO cannot run here.
    """
    meter = _Meter(weights, input_size)
    for image in images:
        meter([image])
        on_image()
    if meter.unmet():
        raise InputError(
            f"expected street images with people or cars, but {weights.name} finds nothing in some of them: "
            "use other images, more of them, or trained weights."
        )
    rounded = {name: [float(f"{bound:.4g}") for bound in meter.ranges[name]] for name in sorted(meter.ranges)}
    record = {"weights_sha256": weights.sha256, "ranges": rounded}
    path = ranges_file(weights)
    cache.subfolder(path.parent.name)
    cache.write_atomically(path, json.dumps(record).encode() + b"\n")
    return path


class _Meter(OpenVinoSegmenter):
    """Runs the network in fp32 and records the inputs of each layer that becomes int8."""

    def __init__(self, weights: Weights, input_size: tuple[int, int] | None) -> None:
        everything = list(weights.class_names)
        super().__init__(weights, everything, score_min=_SCORE_MIN, input_size=input_size, precision="fp32")
        self.ranges: dict[str, tuple[float, float]] = {}
        self._layers = set[str]()

    def unmet(self) -> bool:
        """Returns whether a layer has had no input so far."""
        return not self._layers or bool(self._layers - set(self.ranges))

    def _rewrite(self, model: ov.Model) -> None:
        super()._rewrite(model)
        for number, (name, node) in enumerate(list(quantized_layers(model, self._weights.architecture))):
            taken = node.input_value(0)
            self._layers.add(name)
            taken.get_tensor().add_names({f"{_TAKEN}{number}:{name}"})
            model.add_results([ops.result(taken)])

    def _watch(self, request: ov.InferRequest) -> None:
        for output in request.get_compiled_model().outputs:
            for tapped in output.get_names():
                if tapped.startswith(_TAKEN):
                    name = tapped.removeprefix(_TAKEN).partition(":")[2]
                    low, high = np.quantile(request.get_tensor(output).data, (1 - _SHARE, _SHARE))
                    lowest, highest = self.ranges.get(name, (low, high))
                    self.ranges[name] = float(min(low, lowest)), float(max(high, highest))
