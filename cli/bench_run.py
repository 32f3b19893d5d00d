"""`roadmask bench run`: a run against its engine alone, and the cost of everything but the engine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.engines.errors import EngineError
from roadmask.streaming.results_json import write_results


def run(
    source: Annotated[str, typer.Argument(help="Source as `roadmask run` takes it, of one image size.")],
    weights: Annotated[str, typer.Option(metavar="NAME", help="Weights of the engine.")] = "lite",
    ray: Annotated[bool, typer.Option("--ray", help="Run on Ray.")] = False,
    detect_every: Annotated[
        int, typer.Option(min=1, max=32, help="Let the run detect every N-th frame; the engine alone does all.")
    ] = 1,
    frames: Annotated[int, typer.Option(min=4, help="Number of frames of the source that are used.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of the run and of the engine.")] = 3,
    loop: Annotated[int, typer.Option(min=8, help="Number of frames of the looped clip to record.")] = 5000,
    ratio_min: Annotated[
        float | None,
        typer.Option(help="Exit 1 if the run reaches less than this share of the engine's speed.", show_default=False),
    ] = None,
    overhead_max: Annotated[
        float | None,
        typer.Option(
            help="Exit 1 if everything but the engine takes more milliseconds of processor time per frame.",
            show_default=False,
        ),
    ] = None,
    growth_max: Annotated[
        float | None,
        typer.Option(help="Exit 1 if memory grows by more megabytes, or if Ray spilled.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures a run against its engine alone, then the cost of everything but the engine.

    For the second part the clip is looped and recorded while the engine's results are replayed; the rest is real.
    """
    from importlib.util import find_spec

    from roadmask.evaluation.speed.run import RunBenchmark, benchmark_run

    if ray and find_spec("ray") is None:
        raise EngineError("Ray is not installed: pip install 'roadmask[ray]', or leave out --ray.")
    console = Console(highlight=False)
    with console.status("Recording"):
        results = [benchmark_run(source, RunBenchmark(weights, ray, frames, rounds, loop, detect_every))]
    show_records(console, "A run and its engine", results)
    if json is not None:
        write_results(json, results)
    limits = [("ratio", ratio_min, False), ("overhead_cpu_ms", overhead_max, True), ("uss_growth_mb", growth_max, True)]
    if ray and growth_max is not None:
        limits.append(("spilled_bytes", 0, True))
    require_limits(console, results, limits)
