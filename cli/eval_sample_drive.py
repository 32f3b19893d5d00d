"""`roadmask eval sample-drive`: measures a whole run on the sample drive."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.engine_options import (
    EngineOption,
    InputSizeOption,
    PrecisionOption,
    ScoreMinOption,
    ThreadsOption,
    WeightsOption,
)
from roadmask.cli.records import JsonOption, show_records


def sample_drive(
    weights: WeightsOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    score_min: ScoreMinOption = None,
    input_size: InputSizeOption = None,
    threads: ThreadsOption = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Only the first frames. [dim]Default: all 250[/]", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Records the sample drive and compares masks and tracks with the truth, which is known for every pixel.

    Recall, precision and mask IoU are fractions, of objects that show at least 20 px at mask IoU 0.5; HOTA, DetA and
    AssA are in per cent; switches are counted. Exit codes: 0 success, 2 unusable arguments or a missing package.
    """
    from roadmask.cli.progress import camera_bars
    from roadmask.cli.run import run_settings
    from roadmask.evaluation.sample_drive import evaluate_sample_drive
    from roadmask.streaming.results_json import write_results

    settings = run_settings(
        None, weights, engine, precision, None, score_min, input_size, threads, ignore=None, max_frames=max_frames
    )
    with camera_bars(Console(stderr=True)) as on_progress:
        records = evaluate_sample_drive(settings, on_progress)
    show_records(Console(highlight=False), "Quality on the sample drive", records)
    if json is not None:
        write_results(json, records)
