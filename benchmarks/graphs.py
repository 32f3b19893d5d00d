"""`python -m benchmarks.graphs`: writes the graphs that come with the package, so that its own networks need no torch.

It exports the graphs of a network and cuts its weights out of them; see graph_bundle.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from roadmask.engines.errors import EngineError
from roadmask.engines.files import write_atomically
from roadmask.engines.letterbox import INPUT_SIZES
from roadmask.engines.networks.export import graph_key
from roadmask.engines.networks.graph_bundle import GraphBundle, Recipe, bundle_path, weights_as_fp32
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.onnx_export import export_graphs
from roadmask.engines.networks.weights import Weights, find_weights

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
            raise EngineError(f"the graphs for {size} differ once put together: mend benchmarks/graphs.py.")
    return GraphBundle(keys, recipes, bytes(between))


def unchanged(weights: Weights) -> GraphBundle | None:
    """Returns the graphs that lie beside the weights, with new keys, if they are what torch exports today.

    One input size is exported and compared; None if it differs, or if there are no graphs.
    """
    path = bundle_path(weights)
    if not path.is_file():
        return None
    written = GraphBundle.from_bytes(path.read_bytes())
    sizes = [f"{height}x{width}" for height, width in INPUT_SIZES]
    size = sizes[-1]
    tensors = weights_as_fp32(weights)
    settings = GraphSettings.of(weights.architecture)
    if list(written.keys) != sizes:
        return None
    if written.graphs(size, tensors.__getitem__) != export_graphs(weights, INPUT_SIZES[-1], settings):
        return None
    keys = [graph_key(weights, shape, settings) for shape in INPUT_SIZES]
    return GraphBundle(dict(zip(sizes, keys, strict=True)), written.recipes, written.between)


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


def graphs(
    weights: Annotated[str, typer.Option(metavar="NAME", help="Network that comes with roadmask.")] = "lite",
) -> None:
    """Exports a network for every input size that roadmask chooses, and writes the graphs beside its weights.

    Run it after a change of the weights or of the source code of the graphs. It takes minutes, or seconds if the graph
    of one input size is as before: then only the keys are written, which belong to the source code.
    """
    console, found = Console(highlight=False), find_weights(weights)
    with console.status("Exporting one input size") as status:
        bundle = unchanged(found) or make_bundle(
            found, INPUT_SIZES, lambda shape: status.update(f"Exporting {shape[0]}x{shape[1]}")
        )
    path, content = bundle_path(found), bundle.to_bytes()
    write_atomically(path, content)
    console.print(f"{path}: {len(bundle.keys)} input sizes, {len(content) / 1e3:.0f} kB")


app = instrument_app(graphs)

if __name__ == "__main__":
    run_instrument(app)
