"""`python -m benchmarks.graphs`: writes the graphs that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.graphs.making import make_bundle
from roadmask.engines.files import write_atomically
from roadmask.engines.letterbox import INPUT_SIZES
from roadmask.engines.networks.graph_bundle import bundle_path
from roadmask.engines.networks.weights import find_weights


def graphs(
    weights: Annotated[str, typer.Option(metavar="NAME", help="Network that comes with roadmask.")] = "lite",
) -> None:
    """Exports a network for every input size that roadmask chooses, and writes the graphs beside its weights.

    Takes some minutes. Run it after a change of the weights or of the source code of the graphs; git then shows
    whether the graphs changed.
    """
    console, found = Console(highlight=False), find_weights(weights)
    with console.status("Exporting") as status:
        bundle = make_bundle(found, INPUT_SIZES, lambda shape: status.update(f"Exporting {shape[0]}x{shape[1]}"))
    path, content = bundle_path(found), bundle.to_bytes()
    write_atomically(path, content)
    console.print(f"{path}: {len(bundle.keys)} input sizes, {len(content) / 1e3:.0f} kB")


app = instrument_app(graphs)

if __name__ == "__main__":
    run_instrument(app)
