"""Exports the static graphs of a network to ONNX with torch."""

# ruff: noqa: PLC0415 - torch is imported only to export

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights

if TYPE_CHECKING:
    from roadmask.engines.networks.static_graph import StaticDetector, StaticMasks

_OPSET = 20


def export_graphs(weights: Weights, shape: tuple[int, int], settings: GraphSettings) -> tuple[bytes, bytes]:
    """Returns the detector and the mask graph for one input size as ONNX.

    Raises:
        ImportError: torch, torchvision, onnx or onnxscript is missing.
        WeightsError: the weights do not fit the architecture.
        EngineError: torch exported nothing.
    """
    import onnx  # noqa: F401 - torch's exporter needs it and onnxscript
    import onnxscript  # noqa: F401
    import torch
    import torchvision  # noqa: F401

    from roadmask.engines.networks.models import load_model
    from roadmask.engines.networks.static_graph import DetectorOutputs, MaskOutputs, StaticDetector, StaticMasks

    with torch.inference_mode():
        model = load_model(weights)
        return (
            _onnx(StaticDetector(model, shape, settings), DetectorOutputs._fields),
            _onnx(StaticMasks(model, shape, settings), MaskOutputs._fields),
        )


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
    return _without_notes(program.model_proto)


def _without_notes(model: Any) -> bytes:
    """Returns a model without the exporter's notes: its version, and what names folders of this machine."""
    model.ClearField("producer_version")
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del noted.metadata_props[:]
        noted.ClearField("doc_string")
    content: bytes = model.SerializeToString(deterministic=True)
    return content
