"""Alternatives to the default engine on a CPU, on the same letterboxed images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import openvino as ov
import torch
from torch.utils.flop_counter import FlopCounterMode

from roadmask.engines import Image, Instances
from roadmask.engines.errors import EngineError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks import cache
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_io import Inputs, Outputs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Precision
from roadmask.engines.torch_cuda.captured_graph import CapturedGraph
from roadmask.engines.torch_cuda.segmenter import TorchCudaSegmenter

PEERS = ("onnxruntime", "torch-compile", "yolo")
_YOLO_SIZES = "nsmlx"

Segment = Callable[[Sequence[Image]], list[Instances]]


@dataclass(frozen=True)
class Side:
    """An engine that is timed."""

    engine: str
    precision: str
    batch: int
    segment: Segment
    gflop: float | None = None
    """GFLOP per image, if it runs another network than the weights'; None otherwise."""

    @property
    def runs_weights(self) -> bool:
        """Says whether it runs the weights that the others run."""
        return self.gflop is None


@dataclass(frozen=True)
class Terms:
    """Settings that all engines share."""

    score_min: float
    input_size: tuple[int, int]
    threads: int
    settings: GraphSettings

    def common(self) -> dict[str, Any]:
        """Returns them as arguments of a segmenter."""
        return dict(vars(self))


def peer_sides(names: Sequence[str], weights: Weights, terms: Terms, precision: Precision, gflop: float) -> list[Side]:
    """Returns the peers that were asked for.

    Args:
        names: of `PEERS`.
        weights: of the network, which all but YOLO run.
        terms: what every side gets alike.
        precision: of the default engine, which YOLO's network computes in, too; fp32 where that is int8.
        gflop: of an image, eager: YOLO's network is the one of the nearest cost.

    Raises:
        EngineError: what a peer needs is not installed; the message says how to install it.
    """
    made = {
        "onnxruntime": lambda: _onnxruntime(weights, terms),
        "torch-compile": lambda: Side("torch-compile", "fp32", 1, _Compiled(weights, terms)),
        "yolo": lambda: _yolo(terms, precision, gflop),
    }
    return [made[name]() for name in names]


def _onnxruntime(weights: Weights, terms: Terms) -> Side:
    _require("onnxruntime", "pip install 'roadmask[torch]'")
    from roadmask.engines.onnxruntime.segmenter import OnnxRuntimeSegmenter  # noqa: PLC0415 - optional

    wanted = list(weights.class_names)
    segmenter = OnnxRuntimeSegmenter(weights, wanted, graphs="static", **terms.common())
    return Side("onnxruntime", "fp32", 1, segmenter)


class _Compiled(TorchCudaSegmenter):
    """Our static graph compiled by torch for this processor, as torchvision's own shapes hang on the image."""

    def __init__(self, weights: Weights, terms: Terms) -> None:
        super().__init__(
            weights,
            list(weights.class_names),
            score_min=terms.score_min,
            input_size=terms.input_size,
            precision="fp32",
            settings=terms.settings,
            device="cpu",
        )

    def _capture(self, graph: GpuGraph, inputs: Inputs, _letterbox: Letterbox) -> CapturedGraph:
        compiled = cast("Callable[..., Outputs]", torch.compile(graph, dynamic=False))
        return CapturedGraph.of(compiled, inputs, capture=False)


def _yolo(terms: Terms, precision: Precision, gflop: float) -> Side:
    """Returns the network of a YOLO11 that segments, of the nearest cost, with made-up weights, in OpenVINO.

    Decoding, NMS and masks are left out, in its favour.
    """
    _require("ultralytics", "pip install --no-deps ultralytics ultralytics-thop")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache.subfolder("ultralytics")))  # it writes its settings there
    from ultralytics.nn.tasks import SegmentationModel  # noqa: PLC0415 - optional

    build: Any = SegmentationModel
    blank = torch.zeros(1, 3, *terms.input_size)
    found: list[tuple[float, str, Any]] = []
    with torch.inference_mode():
        for size in _YOLO_SIZES:
            model = build(f"yolo11{size}-seg.yaml", verbose=False).eval()
            model.model[-1].export, model.model[-1].format = True, "openvino"
            model(blank)  # the first makes its anchors
            with FlopCounterMode(display=False) as counter:
                model(blank)
            found.append((counter.get_total_flops() / 1e9, size, model))
            if found[-1][0] > gflop:
                break
    cost, size, model = min(found, key=lambda each: abs(np.log(each[0] / gflop)))
    with torch.no_grad():
        network = ov.convert_model(model, example_input=blank, input=list(blank.shape))
    precision = "fp32" if precision == "int8" else precision
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": terms.threads,
        "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp16": "f16"}.get(precision, "f32"),
    }
    compiled = ov.Core().compile_model(network, "CPU", config)

    def segment(images: Sequence[Image]) -> list[Instances]:
        for image in images:
            letterboxed = Letterbox.fit((image.shape[0], image.shape[1]), terms.input_size).apply(image)
            compiled([np.ascontiguousarray(letterboxed.transpose(2, 0, 1)[None], np.float32) / 255])
        return [Instances.empty((image.shape[0], image.shape[1])) for image in images]

    return Side(f"yolo11{size}-seg, network alone", precision, 1, segment, cost)


def _require(package: str, command: str) -> None:
    if find_spec(package) is None:
        raise EngineError(f"the peer needs {package}, which is not installed: {command}")
