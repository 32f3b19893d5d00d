"""Exports the graphs of a network with torch and cuts its weights out of them; see graph_bundle.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.export import graph_key
from roadmask.engines.networks.graph_bundle import GraphBundle, Recipe, weights_as_fp32
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.onnx_export import export_graphs
from roadmask.engines.networks.weights import Weights

_SMALLEST = 64
"""Smallest tensor in bytes that is cut out: the name of a smaller one takes as much."""


def make_bundle(
    weights: Weights, shapes: Iterable[tuple[int, int]], on_shape: Callable[[tuple[int, int]], None] = lambda _: None
) -> GraphBundle:
    """Exports the graphs for each input size.

    Args:
        weights: a .safetensors file.
        shapes: heights and widths of the network's input.
        on_shape: called before each.

    Raises:
        EngineError: the graphs cannot be put together again.
    """
    settings = GraphSettings.of(weights.architecture)
    tensors = weights_as_fp32(weights)
    keys: dict[str, str] = {}
    recipes: dict[str, tuple[Recipe, Recipe]] = {}
    between = bytearray()
    for shape in shapes:
        on_shape(shape)
        size = f"{shape[0]}x{shape[1]}"
        keys[size] = graph_key(weights, shape, settings)
        graphs = export_graphs(weights, shape, settings)
        detector, masks = (_cut(graph, tensors, between) for graph in graphs)
        recipes[size] = detector, masks
        if GraphBundle(keys, recipes, bytes(between)).graphs(size, tensors.__getitem__) != graphs:
            raise EngineError(f"the graphs for {size} differ after they were put together again: mend making.py.")
    return GraphBundle(keys, recipes, bytes(between))


def _cut(graph: bytes, tensors: Mapping[str, bytes], between: bytearray) -> Recipe:
    """Appends what lies between the tensors of a graph to `between`; returns how it is put together again."""
    found = sorted(
        (place, name)
        for name, content in tensors.items()
        if len(content) >= _SMALLEST and (place := graph.find(content)) >= 0
    )
    start, at = len(between), 0
    pieces: list[int | str] = []
    for place, name in found:
        if place >= at:  # equal tensors are found at one place
            pieces += [place - at, name]
            between += graph[at:place]
            at = place + len(tensors[name])
    between += graph[at:]
    return Recipe(start, (*pieces, len(graph) - at))
