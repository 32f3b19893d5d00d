"""`python -m benchmarks.tracking`: speed of trackers, ours beside others."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.peer_trackers import installed_peers
from benchmarks.tracking.measuring import benchmark_tracking
from roadmask.cli.records import JsonOption, show_records
from roadmask.streaming.results_json import write_results


def tracking(
    instances: Annotated[int, typer.Option(min=1, help="Number of instances per frame.")] = 20,
    frames: Annotated[int, typer.Option(min=1, help="Number of frames per round.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Number of times that the scene is tracked.")] = 3,
    peers: Annotated[bool, typer.Option(help="Also time other trackers that are installed.")] = True,
    json: JsonOption = None,
) -> None:
    """Times trackers on one core, in turn on the same instances: ours with both kinds of masks, others with boxes.

    The others are roboflow's trackers and norfair, with their default settings and one tracker per class.
    """
    console = Console(highlight=False)
    found, told = installed_peers() if peers else ([], [])
    for sentence in told:
        console.print(sentence, markup=False)
    with console.status("Tracking"):
        results = benchmark_tracking(found, instances=instances, frames=frames, rounds=rounds)
    show_records(console, f"{instances} instances per frame, one core", results, leave_out=("instances",))
    if json is not None:
        write_results(json, results)


app = instrument_app(tracking)

if __name__ == "__main__":
    run_instrument(app)
