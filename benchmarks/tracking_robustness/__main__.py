"""`python -m benchmarks.tracking_robustness`: accuracy of trackers on spoilt detections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.peer_trackers import installed_peers
from benchmarks.tracking_robustness.measuring import RobustnessBenchmark, benchmark_robustness
from roadmask.cli.progress import image_bar
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines.errors import InputError
from roadmask.streaming.config import RunConfig, load_config
from roadmask.streaming.results_json import write_results


def tracking_robustness(
    gt: Annotated[Path, typer.Option(help="Folder of KITTI MOTS ground truth.", show_default=False)],
    seeds: Annotated[str, typer.Option(help="Seeds of the random errors, separated by commas.")] = "1,2,3",
    sequences: Annotated[
        str | None,
        typer.Option(help="Names of sequences, separated by commas.", show_default="all in the folder"),
    ] = None,
    peers: Annotated[bool, typer.Option(help="Also run other trackers that are installed.")] = True,
    tune: Annotated[bool, typer.Option(help="Choose the other trackers' best settings on five sequences.")] = True,
    processes: Annotated[int, typer.Option(min=1, help="Number of processes that share the work.")] = 2,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file whose \\[tracker] section configures our tracker; see configs/.", show_default=False
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Spoils ground truth as a poor detector would and measures trackers on it, at three frame rates.

    A fifth of the detections is missing, boxes and masks are off by 5 % of their size, and a tenth is false. The other
    trackers get the same boxes, scores and classes. The sequences on which their settings were chosen are listed apart.
    """
    try:
        numbers = tuple(int(each) for each in seeds.split(","))
    except ValueError as error:
        raise InputError(f"expected --seeds as whole numbers separated by commas, got {seeds!r}.") from error
    if min(numbers) < 0:
        raise InputError(f"expected --seeds of 0 or more, got {seeds!r}.")
    console = Console(highlight=False)
    found, told = installed_peers() if peers else ([], [])
    for sentence in told:
        console.print(sentence, markup=False)
    benchmark = RobustnessBenchmark(
        gt,
        numbers,
        None if sequences is None else tuple(name.strip() for name in sequences.split(",")),
        tuple(peer.name for peer in found),
        tune,
        processes,
        (load_config(config) if config else RunConfig()).tracker,
    )
    with image_bar("Tracking", benchmark.jobs) as advance:
        results = benchmark_robustness(benchmark, advance)
    shown = [record for record in results if record["part"] != "all"]
    title = f"HOTA by mask IoU, means over the seeds {seeds}"
    show_records(console, title, shown, leave_out=("settings", "seeds", "HOTA_min", "HOTA_max"))
    if json is not None:
        write_results(json, results)


app = instrument_app(tracking_robustness)

if __name__ == "__main__":
    run_instrument(app)
