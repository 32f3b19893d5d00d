"""`python -m benchmarks.store`: size of stores, and the time to read from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.store.measuring import StoreBenchmark, benchmark_stores
from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.streaming.results_json import write_results


def store(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE", help="Drives, videos, or folders of KITTI MOTS text.")
    ],
    frames: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of frames of each video or sequence.", show_default="all")
    ] = None,
    reads: Annotated[int, typer.Option(min=1, help="Number of random frames to read.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choice of frames.")] = 1,
    share_max: Annotated[
        float | None,
        typer.Option(help="Exit 1 if the store exceeds this share of the raw id maps' size.", show_default=False),
    ] = None,
    p95_max: Annotated[
        float | None,
        typer.Option(help="Exit 1 if the 95th percentile of a frame's read exceeds these ms.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures the size of stores against raw id maps, and the time to read frames and tracks from a cold open.

    Videos are first recorded with lite, and masks of KITTI MOTS are written as they are, into a temporary folder.
    """
    console = Console(highlight=False)
    with console.status("Measuring stores"):
        results = benchmark_stores(sources, StoreBenchmark(frames_max=frames, reads=reads, seed=seed))
    show_records(console, "Stores, each frame and track from a cold open", results)
    if json is not None:
        write_results(json, results)
    require_limits(console, results, [("share", share_max, True), ("frame_ms_p95", p95_max, True)])


app = instrument_app(store)

if __name__ == "__main__":
    run_instrument(app)
