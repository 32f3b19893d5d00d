"""`roadmask bench tracking` and `tracking-robustness`: our tracker beside those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.bench import JsonOption, show_records
from roadmask.cli.progress import image_bar
from roadmask.engines.errors import InputError
from roadmask.streaming.results_json import write_results


def tracking(
    instances: Annotated[int, typer.Option(min=1, help="Things in a frame.")] = 20,
    frames: Annotated[int, typer.Option(min=1, help="Of a round.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="How often the scene is tracked.")] = 3,
    peers: Annotated[bool, typer.Option(help="Also time trackers of others, where installed.")] = True,
    json: JsonOption = None,
) -> None:
    """Times trackers on one core, in turn on the same moving things: ours with masks in both forms, others with boxes.

    Others are roboflow's trackers and norfair, with their own default settings and a tracker for each class.
    """
    from benchmarks.peer_trackers import installed_peers
    from benchmarks.tracking import benchmark_tracking

    console = Console(highlight=False)
    found, told = installed_peers() if peers else ([], [])
    for sentence in told:
        console.print(sentence, markup=False)
    with console.status("Tracking"):
        results = benchmark_tracking(found, instances=instances, frames=frames, rounds=rounds)
    show_records(console, f"{instances} things a frame, one core", results, leave_out=("instances",))
    if json is not None:
        write_results(json, results)


def tracking_robustness(
    gt: Annotated[Path, typer.Option(help="Folder of KITTI MOTS ground truth.", show_default=False)],
    seeds: Annotated[str, typer.Option(help="Of what is spoilt, separated by commas.")] = "1,2,3",
    sequences: Annotated[
        str | None, typer.Option(help="Separated by commas.", show_default="all in the folder")
    ] = None,
    peers: Annotated[bool, typer.Option(help="Also run trackers of others, where installed.")] = True,
    tune: Annotated[bool, typer.Option(help="Let the others choose their best settings on five sequences.")] = True,
    processes: Annotated[int, typer.Option(min=1, help="That share the work.")] = 2,
    config: Annotated[
        Path | None, typer.Option(help="TOML whose \\[tracker] ours uses; see configs/.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Spoils ground truth as a bad detector would and measures what trackers make of it, at three frame rates.

    A fifth of the detections is missing, boxes and masks are off by 5 % of their size, a tenth is false. Trackers of
    others get the same boxes, scores and classes. Sequences on which they chose their settings are told apart.
    """
    from benchmarks.peer_trackers import installed_peers
    from benchmarks.tracking_robustness import RobustnessBenchmark, benchmark_robustness
    from roadmask.streaming.config import RunConfig, load_config

    try:
        numbers = tuple(int(each) for each in seeds.split(","))
    except ValueError as error:
        raise InputError(f"expected --seeds as whole numbers separated by commas, got {seeds!r}.") from error
    if min(numbers) < 0:
        raise InputError(f"expected --seeds from 0 up, got {seeds!r}.")
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
