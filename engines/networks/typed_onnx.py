"""Exports the whole network to ONNX with its types written down, once per weights, shape, batch and precision."""

# ruff: noqa: PLC0415 - torch is imported only to export

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.networks import cache
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights

GpuPrecision = Literal["fp32", "fp16", "int8"]
FORBIDDEN = ("NonMaxSuppression", "RoiAlign", "NonZero", "Loop", "If", "Scan")
"""Operators that TensorRT for RTX lacks, or that would make shapes depend on the image."""
_SOURCES = (
    *("typed_onnx.py", "frame_graph.py", "graph_io.py", "graph_letterbox.py", "folding.py"),
    *("models.py", "nms.py", "roi_align.py", "static_graph.py", "static_network.py"),
)
_OPSET = 20


def typed_onnx(
    weights: Weights,
    shape: tuple[int, int],
    batch: int | None,
    precision: GpuPrecision,
    settings: GraphSettings | None = None,
) -> Path:
    """Returns the ONNX file of the whole network, exporting it first if the cache does not hold it.

    Inputs and outputs are those of graph_io.py; height and width of the frames are open, and so is the batch if it is
    None.

    Raises:
        WeightsError: the weights do not fit the architecture.
        ConfigError: int8 was not calibrated, see quantization.py.
        EngineError: torch is needed and not installed, or the graph holds what TensorRT cannot run.
    """
    settings = settings or GraphSettings.of(weights.architecture)
    if precision == "int8":
        return _int8_onnx(weights, shape, batch, settings)
    key = hashlib.sha256(json.dumps([weights.sha256, shape, batch, precision, asdict(settings)]).encode())
    for name in _SOURCES:
        key.update(Path(__file__).with_name(name).read_bytes())
    return _cached(
        _stem(weights, shape, batch, precision, key.hexdigest()),
        lambda: _export(weights, shape, batch, precision, settings),
    )


def _int8_onnx(weights: Weights, shape: tuple[int, int], batch: int | None, settings: GraphSettings) -> Path:
    from roadmask.engines.networks.quantization import calibration_of, quantize

    calibration = calibration_of(weights, shape, settings)
    half = typed_onnx(weights, shape, batch, "fp16", settings)
    key = hashlib.sha256(json.dumps([half.name, calibration.digest]).encode())
    key.update(Path(__file__).with_name("quantization.py").read_bytes())
    return _cached(
        _stem(weights, shape, batch, "int8", key.hexdigest()),
        lambda: quantize(half, calibration),
    )


def _stem(weights: Weights, shape: tuple[int, int], batch: int | None, precision: GpuPrecision, key: str) -> str:
    size = f"{shape[0]}x{shape[1]}-b{batch or 'any'}"
    return f"{weights.architecture.value}-{size}-{precision}-{key[:16]}"


def _cached(stem: str, make: Callable[[], bytes]) -> Path:
    folder = cache.subfolder("gpu-graphs")
    path = folder / f"{stem}.onnx"
    with cache.lock(folder / f"{stem}.lock"):
        if not path.is_file():
            cache.write_atomically(path, make())
    return path


def _export(
    weights: Weights, shape: tuple[int, int], batch: int | None, precision: GpuPrecision, settings: GraphSettings
) -> bytes:
    try:
        import onnxscript  # noqa: F401 - torch's exporter needs it and onnx
        import torch
        from torch.export import Dim

        from roadmask.engines.networks.frame_graph import GpuGraph
        from roadmask.engines.networks.graph_io import KEEPS, Inputs, Outputs
        from roadmask.engines.networks.models import load_model
    except ImportError as error:
        raise missing_package(error.name or "torch", f"exporting {weights.name} for a GPU", extra="torch") from error

    dtype = {"fp32": torch.float32, "fp16": torch.float16}[precision]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "# The axis name")  # of an open batch, which three inputs share
        # Two frames where the batch is open, or the exporter would take it for one.
        graph = GpuGraph(load_model(weights), shape, batch or 2, settings, dtype).eval()
        # Frames of another size than the network's, or the exporter would take the two for one.
        inputs = graph.example_inputs((shape[0] + 7, shape[1] + 9))
        open_batch = {0: Dim("batch", min=1, max=64)} if batch is None else {}
        frames = open_batch | {1: Dim("frame_height", min=1, max=8192), 2: Dim("frame_width", min=1, max=8192)}
        dynamic = {"frames": frames, **dict.fromkeys(KEEPS, open_batch or None)}
        program = torch.onnx.export(
            graph,
            tuple(inputs),
            input_names=list(Inputs._fields),
            output_names=list(Outputs._fields),
            dynamic_shapes=tuple(dynamic.get(name) for name in Inputs._fields),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise EngineError(f"torch {torch.__version__} exported no graph: install another version of torch.")
    model = program.model_proto
    unfit = unfit_nodes(model)
    if unfit:
        raise EngineError(
            f"expected a graph of standard operators, got {', '.join(unfit)}: install another version of torch."
        )
    content: bytes = model.SerializeToString()
    return content


def unfit_nodes(model: object) -> list[str]:
    """Returns the operators of an `onnx.ModelProto` that TensorRT would refuse, custom ones included."""
    return sorted(
        {
            f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            for node in model.graph.node  # type: ignore[attr-defined]
            if node.op_type in FORBIDDEN or node.domain not in {"", "ai.onnx"}
        }
    )
