"""`roadmask bench masks`: pasting and encoding masks, against torchvision and pycocotools."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.engines.extras import missing_package
from roadmask.streaming.results_json import write_results


def masks(
    ratio_min: Annotated[
        float | None,
        typer.Option(help="Exit 1 if the speed-up over the reference is below this.", show_default=False),
    ] = None,
    pixel_error_max: Annotated[
        float | None, typer.Option(help="Exit 1 if a larger share of the pixels differs.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Times pasting masks into a 1080p image and encoding them, against torchvision and pycocotools.

    50 instances in boxes of three size ranges; the image border cuts some of them. Both sides take the same masks, in
    turn. Needs torch and torchvision.
    """
    try:
        from roadmask.evaluation.speed.masks import benchmark_masks
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    console = Console(highlight=False)
    with console.status("Pasting masks"):
        results = benchmark_masks()
    show_records(console, "50 masks into 1920 x 1080, as run lengths", results, leave_out=("instances", "shape"))
    if json is not None:
        write_results(json, results)
    limits = [("ratio", ratio_min, False), ("pixel_error", pixel_error_max, True)]
    require_limits(console, results, limits, name="boxes of {size_set} px")
