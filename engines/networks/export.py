"""Exports the static graphs to ONNX, once per weights, network shape and settings, into the cache."""

# ruff: noqa: PLC0415 - torch is imported only to export

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.networks import cache
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights

if TYPE_CHECKING:
    from roadmask.engines.networks.static_graph import StaticDetector, StaticMasks

_GRAPH_SOURCES = ("export.py", "models.py", "nms.py", "roi_align.py", "static_graph.py", "static_network.py")
"""Source files that define the graphs: a graph that an earlier version of them exported is exported again."""
_OPSET = 20
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class GraphFiles:
    """The ONNX files for one input size."""

    detector: Path
    """Graph from `DetectorInputs` to `DetectorOutputs` of static_graph.py."""
    masks: Path
    """Graph from `MaskInputs` to `MaskOutputs`."""


def exported_graphs(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> GraphFiles:
    """Returns the ONNX files of the static graphs, exporting them first if the cache does not hold them.

    Two processes that want the same graphs export them once. torch is imported only to export. An output that has
    the name of an input is called `<name>_out`.

    Raises:
        WeightsError: the weights do not fit the architecture.
        EngineError: torch is needed and not installed.
    """
    height, width = shape
    key = hashlib.sha256(json.dumps([weights.sha256, shape, asdict(settings)]).encode())
    for name in _GRAPH_SOURCES:
        key.update(Path(__file__).with_name(name).read_bytes())
    stem = f"{weights.architecture.value}-{height}x{width}-{key.hexdigest()[:16]}"
    folder = cache.subfolder("graphs")
    files = GraphFiles(folder / f"{stem}-detector.onnx", folder / f"{stem}-masks.onnx")
    if _complete(files):
        return files
    with cache.lock(folder / f"{stem}.lock"):
        if not _complete(files):
            start = time.monotonic()
            _LOG.info("preparing %s for %d x %d (once, up to half a minute)", weights.name, width, height)
            for path, content in _export(weights, shape, settings, files).items():
                cache.write_atomically(path, content)
            _LOG.info("prepared %s for %d x %d in %.0f s", weights.name, width, height, time.monotonic() - start)
    return files


def _complete(files: GraphFiles) -> bool:
    return files.detector.is_file() and files.masks.is_file()


def _export(weights: Weights, shape: tuple[int, int], settings: GraphSettings, files: GraphFiles) -> dict[Path, bytes]:
    try:
        import onnx  # noqa: F401 - torch's exporter needs it and onnxscript
        import onnxscript  # noqa: F401
        import torch
        import torchvision  # noqa: F401
    except ImportError as error:
        purpose = f"preparing {weights.name} for a new size"
        raise missing_package(error.name or "torch", purpose, extra="torch") from error
    from roadmask.engines.networks.models import load_model
    from roadmask.engines.networks.static_graph import DetectorOutputs, MaskOutputs, StaticDetector, StaticMasks

    with torch.inference_mode():
        model = load_model(weights)
        return {
            files.detector: _onnx(StaticDetector(model, shape, settings), DetectorOutputs._fields),
            files.masks: _onnx(StaticMasks(model, shape, settings), MaskOutputs._fields),
        }


def _onnx(graph: StaticDetector | StaticMasks, outputs: tuple[str, ...]) -> bytes:
    import torch

    inputs = graph.example_inputs()
    program = torch.onnx.export(
        graph.eval(),
        tuple(inputs),
        input_names=list(inputs._fields),
        output_names=[f"{name}_out" if name in inputs._fields else name for name in outputs],
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise EngineError(f"torch {torch.__version__} exported no graph: install another version of torch.")
    content: bytes = program.model_proto.SerializeToString()
    return content
