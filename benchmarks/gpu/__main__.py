"""`python -m benchmarks.gpu`: agreement and speed of the engines on this machine's NVIDIA GPU."""

from __future__ import annotations

from typing import Annotated, get_args

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines.errors import InputError
from roadmask.engines.extras import missing_package
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.networks.typed_onnx import GpuPrecision
from roadmask.streaming.results_json import write_results


def gpu(
    weights: Annotated[
        str,
        typer.Option(
            help="lite, resnet50, resnet50_v2 or a state dict. Add -random for random weights of that network, which "
            "take the same time and need no download."
        ),
    ] = "resnet50",
    input_size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HxW", help="Input size of the network. Repeat for several.", show_default="384x640, 736x1280"
        ),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images per call. Repeat for several.", show_default="1, 4, 8")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="Engine, by its name in the table. Repeat for several.", show_default="all"),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, fp16, or int8 of TensorRT. Repeat for several.", show_default="all"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of times that each engine is timed.")] = 50,
    json: JsonOption = None,
) -> None:
    """Checks, then times the engines on this machine's NVIDIA GPU: torchvision, torch.compile and ours.

    Frames are 1080p images of the sample drive. An engine that fails, or whose results differ from torchvision's, is
    listed with the reason and is not timed. TensorRT takes part if it is installed. Exit codes: 0, or 2 without a GPU,
    if a requested engine is not installed, or if an engine's results differ.
    """
    try:
        from benchmarks.gpu.contenders import ENGINES  # noqa: PLC0415 - --help works without torch
        from benchmarks.gpu.measuring import GpuBenchmark, benchmark_gpu, require_right  # noqa: PLC0415
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    shapes = tuple(parse_input_size(each) for each in input_size or ["384x640", "736x1280"])
    chosen = tuple(engine or ()), tuple(precision or ())
    for what, names, known in zip(("engine", "precision"), chosen, (ENGINES, get_args(GpuPrecision)), strict=True):
        if unknown := set(names) - set(known):
            raise InputError(f"expected as --{what} {', '.join(known)}, got {', '.join(sorted(unknown))}.")
    settings = GpuBenchmark(shapes, tuple(batch or [1, 4, 8]), rounds, engines=chosen[0], precisions=chosen[1])
    console = Console(highlight=False)
    with console.status("Checking and timing engines"):
        results = benchmark_gpu(weights, settings)
    show_records(console, f"{weights} on this GPU", results, leave_out=("weights", "problem"))
    for each in (record for record in results if record["problem"]):
        name = f"{each['engine']} {each['precision']} {each['shape']} batch {each['batch']}"
        console.print(f"{name}: {each['problem']}", soft_wrap=True, markup=False)
    if json is not None:
        write_results(json, results)
    require_right(results)


app = instrument_app(gpu)

if __name__ == "__main__":
    run_instrument(app)
