"""`python -m benchmarks.annotate`: what `roadmask annotate` adds to the time of `roadmask run`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from benchmarks.annotate.measuring import benchmark_annotate
from benchmarks.command import instrument_app, run_instrument
from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.streaming.results_json import write_results


def annotate(
    source: Annotated[str, typer.Argument(help="A video, or another source as `roadmask run` takes it.")],
    rounds: Annotated[int, typer.Option(min=1, help="Number of measured runs of each command.")] = 3,
    frames: Annotated[int | None, typer.Option(min=1, help="Maximum number of frames.", show_default="all")] = None,
    added_max: Annotated[
        float | None,
        typer.Option(help="Exit 1 if annotating adds more than this share of processor time.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures `roadmask annotate` against `roadmask run` on the same source, in interleaved rounds.

    Both shares are medians over rounds. Processor time is what a busy machine leaves measurable.
    """
    console = Console(highlight=False)
    with console.status("Running both commands in turn"):
        results = [benchmark_annotate(source, rounds, frames)]
    show_records(console, "Annotating against running", results)
    if json is not None:
        write_results(json, results)
    require_limits(console, results, [("added_processor_share", added_max, True)], name="{source}")


app = instrument_app(annotate)

if __name__ == "__main__":
    run_instrument(app)
