"""`roadmask bench store` and `run`: what stores take and what a run costs beside its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.bench import JsonOption, hold, show_records
from roadmask.engines.errors import EngineError
from roadmask.streaming.results_json import write_results


def store(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Drives, videos, or folders of KITTI MOTS text.")
    ],
    frames: Annotated[
        int | None, typer.Option(min=1, help="Of a video, or of each sequence.", show_default="all")
    ] = None,
    reads: Annotated[int, typer.Option(min=1, help="Random frames to read.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of what is read.")] = 1,
    share_max: Annotated[
        float | None, typer.Option(help="Exit with 1 above this share of the raw labels.", show_default=False)
    ] = None,
    p95_max: Annotated[
        float | None, typer.Option(help="Exit with 1 above these milliseconds of a frame.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures the size of stores against raw labels, and reading frames and tracks from a cold open.

    Videos are recorded first with lite, masks of KITTI MOTS written as they are, into a temporary folder.
    """
    from benchmarks.store import StoreBenchmark, benchmark_stores

    console = Console(highlight=False)
    with console.status("Measuring stores"):
        results = benchmark_stores(sources, StoreBenchmark(frames_max=frames, reads=reads, seed=seed))
    show_records(console, "Stores, each frame and track from a cold open", results)
    if json is not None:
        write_results(json, results)
    hold(console, results, [("share", share_max, True), ("frame_ms_p95", p95_max, True)])


def run(
    source: Annotated[str, typer.Argument(help="As roadmask run takes it; of one resolution.")],
    weights: Annotated[str, typer.Option(metavar="NAME", help="Of the engine.")] = "lite",
    ray: Annotated[bool, typer.Option("--ray", help="Run on Ray.")] = False,
    frames: Annotated[int, typer.Option(min=4, help="Of the clip.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="How often the run and the engine take turns.")] = 3,
    loop: Annotated[int, typer.Option(min=8, help="Frames of the looped clip to record.")] = 5000,
    ratio_min: Annotated[
        float | None, typer.Option(help="Exit with 1 below this share of the engine's speed.", show_default=False)
    ] = None,
    overhead_max: Annotated[
        float | None, typer.Option(help="Exit with 1 above these milliseconds a frame.", show_default=False)
    ] = None,
    growth_max: Annotated[
        float | None, typer.Option(help="Exit with 1 above these megabytes, or where Ray spilled.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures a run against its engine alone, then what all but the engine costs.

    For the latter the clip is looped and recorded with the engine's results replayed; all else is real.
    """
    from importlib.util import find_spec

    from roadmask.evaluation.speed.run import RunBenchmark, benchmark_run

    if ray and find_spec("ray") is None:
        raise EngineError("Ray is not installed: pip install 'roadmask[ray]', or leave out --ray.")
    console = Console(highlight=False)
    with console.status("Recording"):
        results = [benchmark_run(source, RunBenchmark(weights, ray, frames, rounds, loop))]
    show_records(console, "A run and its engine", results)
    if json is not None:
        write_results(json, results)
    limits = [("ratio", ratio_min, False), ("overhead_cpu_ms", overhead_max, True), ("uss_growth_mb", growth_max, True)]
    if ray and growth_max is not None:
        limits.append(("spilled_bytes", 0, True))
    hold(console, results, limits)
