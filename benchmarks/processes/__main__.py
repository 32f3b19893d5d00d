"""`python -m benchmarks.processes`: what each process of a live run costs, and what it gains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.processes.measuring import ARRANGEMENTS, ProcessBenchmark, markdown_table, measure_processes
from roadmask.cli.records import JsonOption
from roadmask.streaming.results_json import write_results


def processes(
    clip: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A video that every camera replays.", show_default=False)
    ],
    cameras: Annotated[int, typer.Option(min=1, help="Number of cameras.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each measurement, seconds.")] = 20.0,
    engine_ms: Annotated[
        float, typer.Option(min=0, help="Time per image of an engine that only waits, milliseconds.")
    ] = 80.0,
    real_engine: Annotated[
        bool, typer.Option("--real-engine", help="Use the default engine, which competes for the processor.")
    ] = False,
    arrangement: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this arrangement; repeat the option for several.", show_default="all"),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures a live pipeline as it ships, and with one process after the other folded into the coordinator.

    Prints a Markdown table: frames per second of all cameras, age of a frame when it was tracked and drawn, delay of
    the coordinator's event loop, processor time (100 % is one core), memory and number of processes, Ray's included.
    """
    settings = ProcessBenchmark(cameras, seconds, None if real_engine else engine_ms)
    console = Console(stderr=True, highlight=False)
    with console.status("Measuring") as status:
        records = measure_processes(
            clip, settings, arrangement or tuple(ARRANGEMENTS), lambda name: status.update(f"Measuring: {name}")
        )
    typer.echo(markdown_table(records))
    if json is not None:
        write_results(json, records)


app = instrument_app(processes)

if __name__ == "__main__":
    run_instrument(app)
