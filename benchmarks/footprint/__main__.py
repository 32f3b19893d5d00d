"""`python -m benchmarks.footprint`: start-up time of a run, and the memory of its engine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.footprint.measuring import FootprintBenchmark, benchmark_footprint
from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.engines.segmenter import Precision
from roadmask.streaming.results_json import write_results


def footprint(
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Weights as `roadmask run` takes them. Repeat for several.", show_default="lite"
        ),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Precision of the default engine.")] = "auto",
    input_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Input size of the network.", show_default="from the images' aspect"),
    ] = None,
    height: Annotated[int, typer.Option(min=32, max=4096, help="Height of the images in pixels.")] = 540,
    width: Annotated[int, typer.Option(min=32, max=4096, help="Width of the images in pixels.")] = 960,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the engine.", show_default="one for each physical core")
    ] = None,
    frames: Annotated[int, typer.Option(min=5, help="Number of frames over which growth is measured.")] = 300,
    start_max: Annotated[
        float | None, typer.Option(help="Exit 1 if a run takes more seconds to start.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures how long a run takes to start with a warm cache, and the memory that its engine holds and allocates.

    The start is that of `roadmask run` on a video of one frame of the sample drive: from the start of Python until the
    frame is stored and the store is named. An earlier run fills the cache. The engine's memory is measured in a process
    of its own.
    """
    console, results = Console(highlight=False), []
    for name in weights or ["lite"]:
        settings = FootprintBenchmark(name, precision, input_size, (height, width), threads, frames)
        with console.status(f"Starting {name}"):
            results += benchmark_footprint(settings)
    show_records(console, "Start-up time of a run and memory of its engine", results)
    if json is not None:
        write_results(json, results)
    require_limits(console, results, [("start_s", start_max, True)], name="{weights}")


app = instrument_app(footprint)

if __name__ == "__main__":
    run_instrument(app)
