"""`python -m benchmarks.view`: first paint, seeks and memory of the page of a recorded store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.view.measuring import ViewBenchmark, benchmark_view
from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.streaming.results_json import write_results


def _limit(what: str) -> Any:
    return typer.Option(help=f"Exit 1 if {what} is above this.", show_default=False)


def view(
    store: Annotated[
        Path | None,
        typer.Argument(
            help="A store, with its recording beside it. By default, one is made of the sample drive.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=10, help="Number of frames of the store that is made.")] = 10_000,
    seeks: Annotated[int, typer.Option(min=1, help="Number of random seeks.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choice of frames.")] = 1,
    paint_max: Annotated[float | None, _limit("the time of the first frame in the browser, in seconds,")] = None,
    p95_max: Annotated[float | None, _limit("the 95th percentile of a seek, in milliseconds,")] = None,
    files_max: Annotated[int | None, _limit("the number of files that a seek reads")] = None,
    mb_max: Annotated[float | None, _limit("the number of megabytes that a seek reads")] = None,
    memory_max: Annotated[float | None, _limit("the server's peak memory, in megabytes,")] = None,
    json: JsonOption = None,
) -> None:
    """Measures `roadmask view` on a store: the first frame in a real Chromium, random seeks, and the server's memory.

    A seek is the request of one frame over HTTP. Its bytes are those that the server's process reads, from the store
    and from the video. Without Chromium and its driver, no first paint is measured.
    """
    console = Console(highlight=False)
    with console.status("Making a store" if store is None else "Measuring"):
        results = benchmark_view(store, ViewBenchmark(frames, seeks, seed))
    show_records(console, "The page of a recorded store", results)
    if json is not None:
        write_results(json, results)
    limits = [
        ("first_frame_s", paint_max, True),
        ("seek_ms_p95", p95_max, True),
        ("seek_files_max", files_max, True),
        ("seek_mb_max", mb_max, True),
        ("server_mb_peak", memory_max, True),
    ]
    require_limits(console, results, limits)


app = instrument_app(view)

if __name__ == "__main__":
    run_instrument(app)
