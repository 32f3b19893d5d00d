"""`roadmask bench propagation`: what is found if only every N-th frame is detected, and what propagation costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.streaming.results_json import write_results

CLIP = "davis_car-shadow"
"""Folder of the data whose clip is measured too."""


CHANGES = ("recall_change", "precision_change", "iou_change")
"""Fields that are written and not shown: differences from detection of every frame."""


def propagation(
    weights: Annotated[str, typer.Option(metavar="NAME", help="Weights of the engine.")] = "lite",
    precision: Annotated[str, typer.Option(help="Arithmetic of the engine.")] = "fp32",
    seconds: Annotated[float, typer.Option(min=0.4, max=10, help="Length of the sample drive that is used.")] = 10.0,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="ROADMASK_DATA",
            metavar="DIR",
            help=f"Folder that holds {CLIP}, a clip of DAVIS, which is measured too.",
        ),
    ] = None,
    ms_max: Annotated[
        float | None,
        typer.Option(help="Exit 1 if an image takes more milliseconds of processor time.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Compares detection of every frame with masks that are propagated to the frames between detections.

    Every 2nd, 3rd and 5th frame of the sample drive is detected. The others are filled from both detections, as
    `roadmask run --detect-every` does, or from the earlier one, as a live camera must. Then measures the processor time
    of propagating ten instances to an image of 1920 x 1080.
    """
    from roadmask.engines import load_segmenter
    from roadmask.engines.segmenter import Precision
    from roadmask.evaluation.propagation import benchmark_cost, benchmark_davis, benchmark_sample_drive
    from roadmask.sample_drive import SampleDrive, SampleDriveConfig
    from roadmask.tracking.propagation.gap import WEAK_SCORE_MIN

    asked: Any = precision
    chosen: Precision = asked
    console = Console(highlight=False)
    with console.status("Measuring the processor time"):
        cost = benchmark_cost()
    with console.status("Detecting the sample drive"):
        segmenter = load_segmenter(weights, score_min=WEAK_SCORE_MIN, precision=chosen)
        sample = benchmark_sample_drive(segmenter, drive=SampleDrive(SampleDriveConfig(seconds=seconds)))
    show_records(console, "The sample drive", sample, leave_out=("source", *CHANGES))
    results = sample
    if data is not None and (data / CLIP).is_dir():
        with console.status("Detecting the clip"):
            clip = benchmark_davis(segmenter, data / CLIP)
        show_records(console, CLIP, clip, leave_out=("source",))
        results = [*results, *clip]
    show_records(console, "Processor time of one image", [cost], leave_out=("image_size",))
    if json is not None:
        write_results(json, [*results, {"source": "cost", **cost}])
    require_limits(console, [cost], [("cpu_ms", ms_max, True)], name="{instances} instances")
