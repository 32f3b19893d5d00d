"""Keeps the ONNX files of the static graphs in the cache: those of the package, or else exported by torch."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.networks import cache
from roadmask.engines.networks.graph_bundle import bundled_graphs, bundled_sizes
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.onnx_export import export_graphs
from roadmask.engines.networks.weights import Weights

_GRAPH_SOURCES = ("models.py", "nms.py", "onnx_export.py", "roi_align.py", "static_graph.py", "static_network.py")
"""Source files that define the graphs: a graph that an earlier version of them exported is exported again."""
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class GraphFiles:
    """The ONNX files for one input size."""

    detector: Path
    """Graph from `DetectorInputs` to `DetectorOutputs` of static_graph.py."""
    masks: Path
    """Graph from `MaskInputs` to `MaskOutputs`."""


def graph_key(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> str:
    """Returns 16 hex digits that change with all that the graphs depend on: weights, size, settings, source code."""
    key = hashlib.sha256(json.dumps([weights.sha256, shape, asdict(settings)]).encode())
    for name in _GRAPH_SOURCES:
        key.update(Path(__file__).with_name(name).read_bytes())
    return key.hexdigest()[:16]


def exported_graphs(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> GraphFiles:
    """Returns the ONNX files of the static graphs, writing them first if the cache does not hold them.

    They come from the package if it has them for these weights and this size. Otherwise torch exports them, and is
    imported only then; two processes that want the same graphs export them once. An output that has the name of an
    input is called `<name>_out`.

    Raises:
        WeightsError: the weights do not fit the architecture.
        EngineError: torch is needed and not installed, or the cache cannot be written.
    """
    height, width = shape
    key = graph_key(weights, shape, settings)
    stem = f"{weights.architecture.value}-{height}x{width}-{key}"
    folder = cache.subfolder("graphs")
    files = GraphFiles(folder / f"{stem}-detector.onnx", folder / f"{stem}-masks.onnx")
    if _complete(files):
        return files
    with cache.lock(folder / f"{stem}.lock"):
        if not _complete(files):
            detector, masks = bundled_graphs(weights, shape, key) or _export(weights, shape, settings)
            cache.write_atomically(files.detector, detector)
            cache.write_atomically(files.masks, masks)
    return files


def _complete(files: GraphFiles) -> bool:
    return files.detector.is_file() and files.masks.is_file()


def _export(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> tuple[bytes, bytes]:
    height, width = shape
    start = time.monotonic()
    _LOG.info("preparing %s for %d x %d (once, up to half a minute)", weights.name, width, height)
    try:
        graphs = export_graphs(weights, shape, settings)
    except ImportError as error:
        raise _needs_torch(weights, shape, error.name or "torch") from error
    _LOG.info("prepared %s for %d x %d in %.0f s", weights.name, width, height, time.monotonic() - start)
    return graphs


def _needs_torch(weights: Weights, shape: tuple[int, int], package: str) -> EngineError:
    height, width = shape
    error = missing_package(package, f"preparing {weights.name} for the input size {height}x{width}", extra="torch")
    if sizes := bundled_sizes(weights):
        return EngineError(f"{error}, or use an input size that comes with roadmask: {', '.join(sizes)}.")
    return error
