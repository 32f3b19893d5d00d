"""`roadmask bench live`: live cameras against their engine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.records import JsonOption, show_records


def live(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1, help="Number of cameras.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of the measurement, seconds.")] = 30.0,
    show: Annotated[bool, typer.Option("--show", help="Also draw the images of a page.")] = False,
    scripted: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MS",
            help="Use an engine that only waits this many milliseconds per image, to measure everything else.",
            show_default=False,
        ),
    ] = None,
    adapt: Annotated[bool, typer.Option(help="Let the image rate follow the load.")] = True,
    ratio_min: Annotated[
        float, typer.Option(help="Exit 4 if the cameras reach less than this share of the engine's speed.")
    ] = 0.0,
    json: JsonOption = None,
) -> None:
    """Measures live cameras against their engine alone: images per second, and the age of masks.

    Exit codes: 0, or 4 if the ratio is too low, a ledger does not add up or the store is damaged.
    """
    from roadmask.engines.errors import StoreError
    from roadmask.evaluation.speed.live import LiveBenchmark, benchmark_live
    from roadmask.streaming.results_json import write_results

    console = Console(highlight=False)
    with console.status("Running"):
        record = benchmark_live(clip, LiveBenchmark(cameras, seconds, show, scripted, adapt))
    stages = tuple(name for name in record if name.endswith("_p95_ms"))
    show_records(console, "Live", [record], leave_out=(*stages, "seconds", "shown"))
    if json is not None:
        write_results(json, [record])
    if record["ratio"] < ratio_min or record["unbalanced"] or not record["stored_ok"]:
        raise StoreError("the run was too slow, a ledger did not add up or the store is damaged: see the table.")
