"""`roadmask bench live`: how fast a live run is against its engine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def live(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1)] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="How long it is measured.")] = 30.0,
    show: Annotated[bool, typer.Option("--show", help="Draw the images of a page, too.")] = False,
    scripted: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="MS", help="An engine that only waits so long for an image: measures everything else."
        ),
    ] = None,
    adapt: Annotated[bool, typer.Option(help="Let the rate of images follow the load.")] = True,
    ratio_min: Annotated[float, typer.Option(help="Exit 4 below this share of the engine's speed.")] = 0.0,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the record.")] = None,
) -> None:
    """Measures live cameras against their engine alone: images a second, and how old masks are.

    Exit codes: 0, or 4 where the ratio is too low, a ledger did not add up or something stored is damaged.
    """
    from roadmask.cli.bench import show_records
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
        raise StoreError("too slow, a ledger did not add up, or something stored is damaged: see the table.")
