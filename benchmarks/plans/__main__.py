"""`python -m benchmarks.plans`: build time and size of TensorRT plans."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.plans.measuring import benchmark_plans
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.networks.typed_onnx import GpuPrecision
from roadmask.engines.networks.weights import find_weights
from roadmask.engines.tensorrt.build import Target
from roadmask.streaming.results_json import write_results


def plans(
    weights: Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict.")] = "lite",
    input_size: Annotated[str, typer.Option(metavar="HxW", help="Input size of the network.")] = "384x640",
    precision: Annotated[GpuPrecision, typer.Option(help="Precision of the network.")] = "fp16",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Frames per call. Repeat for several.", show_default="1, 4, 8")
    ] = None,
    target: Annotated[str, typer.Option(help="Chip that TensorRT for RTX builds for; needs no GPU.")] = "sm89",
    json: JsonOption = None,
) -> None:
    """Builds one TensorRT plan per batch size, then one plan with a profile per batch size; shows time and size."""
    console, found = Console(highlight=False), find_weights(weights)
    with console.status("Building plans"):
        results = benchmark_plans(
            found, parse_input_size(input_size), precision, batch or [1, 4, 8], Target("tensorrt-rtx", target)
        )
    show_records(console, f"Plans of {found.name}", results, leave_out=("weights",))
    if json is not None:
        write_results(json, results)


app = instrument_app(plans)

if __name__ == "__main__":
    run_instrument(app)
