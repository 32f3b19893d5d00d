"""Exports the static graph to ONNX, once per weights, network shape and settings, into the cache."""

# ruff: noqa: PLC0415 - torch is imported only to export

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from roadmask.engines import cache
from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.weights import Weights

_GRAPH_SOURCES = ("export.py", "models.py", "nms.py", "roi_align.py", "static_graph.py")
"""Files that say what is exported; a graph that an earlier version of them made is exported anew."""
_OPSET = 20
_LOG = logging.getLogger("roadmask")


def exported_graph(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> Path:
    """Returns the ONNX file of a graph, exporting it first if the cache does not hold it.

    Two processes that want the same graph export it once. torch is imported only to export.

    Raises:
        WeightsError: the weights do not fit the architecture.
        EngineError: torch is needed and not installed.
    """
    height, width = shape
    key = hashlib.sha256(json.dumps([weights.sha256, shape, asdict(settings)]).encode())
    for name in _GRAPH_SOURCES:
        key.update(Path(__file__).with_name(name).read_bytes())
    digest = key.hexdigest()[:16]
    path = cache.folder() / "graphs" / f"{weights.architecture.value}-{height}x{width}-{digest}.onnx"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            start = time.monotonic()
            _LOG.info("preparing %s for %d x %d pictures (once, up to half a minute)", weights.name, width, height)
            cache.write_atomically(path, _export(weights, shape, settings))
            _LOG.info("prepared %s for %d x %d in %.0f s", weights.name, width, height, time.monotonic() - start)
    return path


def _export(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> bytes:
    try:
        import onnx  # noqa: F401 - torch's exporter needs it and onnxscript
        import onnxscript  # noqa: F401
        import torch
        import torchvision  # noqa: F401
    except ImportError as error:
        purpose = f"preparing {weights.name} for a new size"
        raise missing_package(error.name or "torch", purpose, extra="torch") from error
    from roadmask.engines.models import load_model
    from roadmask.engines.static_graph import GraphInputs, GraphOutputs, StaticMaskRCNN

    with torch.inference_mode():
        graph = StaticMaskRCNN(load_model(weights), shape, settings).eval()
        program = torch.onnx.export(
            graph,
            tuple(graph.example_inputs()),
            input_names=list(GraphInputs._fields),
            output_names=[f"{name}_out" if name in GraphInputs._fields else name for name in GraphOutputs._fields],
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise EngineError(f"torch {torch.__version__} exported nothing; try another version of torch.")
    content: bytes = program.model_proto.SerializeToString()
    return content
