"""`python -m benchmarks.soak`: growth of memory, files and threads in a long live run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.soak.measuring import WHOLE, SoakSettings, run_soak
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines.errors import StoreError
from roadmask.streaming.live.retention import Retention
from roadmask.streaming.results_json import write_results


def soak(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1, help="Number of cameras.")] = 4,
    minutes: Annotated[float, typer.Option(min=0.5, help="Duration of the run, minutes.")] = 30.0,
    steady: Annotated[float, typer.Option(min=0.1, help="Minutes after which growth counts.")] = 2.0,
    growth_max: Annotated[
        float,
        typer.Option(help="Exit 4 if a process grows by more megabytes, or by more than 4 files or threads."),
    ] = 50.0,
    keep: Annotated[
        str | None,
        typer.Option(metavar="2h|50GB", help="What the store keeps, as in `roadmask live`.", show_default="everything"),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Runs live cameras with store and page for long, and measures how much every process grows.

    Exit codes: 0, or 4 if a process or Ray's object store grows too much, if anything was spilled, if a ledger does not
    add up or the store is damaged.
    """
    console = Console(highlight=False)
    retention = None if keep is None else Retention.parse(keep)
    with console.status("Soaking"):
        results = run_soak(clip, SoakSettings(cameras, minutes, steady, retention))
    whole = {name: results[0][name] for name in WHOLE}
    show_records(console, "Soak", [whole])
    show_records(console, "Processes", results, leave_out=WHOLE)
    if json is not None:
        write_results(json, results)
    grown = max(whole["objects_growth_mb"], *(record["uss_growth_mb"] for record in results))
    more = max(record[name] for record in results for name in ("files_growth", "threads_growth"))
    if grown > growth_max or more > 4 or whole["spilled_bytes"]:
        raise StoreError("a process or the object store grew, or something was spilled: see the tables.")
    if whole["unbalanced"] or not whole["stored_ok"]:
        raise StoreError("a ledger did not add up, or the store is damaged: see the tables.")


app = instrument_app(soak)

if __name__ == "__main__":
    run_instrument(app)
