"""`roadmask bench engine`: the default engine against torchvision eager and others."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.engines.errors import InputError
from roadmask.engines.extras import missing_package
from roadmask.engines.segmenter import Precision
from roadmask.streaming.results_json import write_results


def engine(
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="lite, resnet50, resnet50_v2 or a state dict. Add -random for random weights of that network, which "
            "take the same time. Repeat for several.",
            show_default="lite, resnet50-random",
        ),
    ] = None,
    input_size: Annotated[str, typer.Option(metavar="HxW", help="Input size of the network.")] = "384x640",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images per call. Repeat for several.", show_default="1")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each engine.", show_default="all cores")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Precision of the default engine; the others compute in fp32.")
    ] = "auto",
    score_min: Annotated[float, typer.Option(min=0.05, max=1, help="Drop instances below this score.")] = 0.5,
    images: Annotated[int, typer.Option(min=1, help="Maximum number of images.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Number of times that each image is timed.")] = 2,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Measure processor time. Use it on a busy machine, with --threads 1."),
    ] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Also time onnxruntime, torch-compile (takes minutes to compile) or yolo (the YOLO11-seg network that "
            "is nearest in cost, in OpenVINO). Repeat for several.",
            show_default="none",
        ),
    ] = None,
    ratio_min: Annotated[
        float | None,
        typer.Option(
            help="Exit 1 if the default engine's speed-up over torchvision is below this.", show_default=False
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Times the default engine against torchvision eager, in turn, on the same letterboxed images.

    Both use the same number of proposals and detections, score threshold and threads. Pasting masks is not timed. The
    images are those of coco_dev in the folder that ROADMASK_DATA names, or the sample drive. Needs torch and
    torchvision.
    """
    try:
        from roadmask.evaluation.speed.engine import EngineBenchmark, benchmark_engine
        from roadmask.evaluation.speed.engine_peers import PEERS
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    from roadmask.engines.letterbox import parse_input_size

    if unknown := set(peer or ()) - set(PEERS):
        raise InputError(f"expected as --peer {', '.join(PEERS)}, got {', '.join(sorted(unknown))}.")
    settings = EngineBenchmark(
        shape=parse_input_size(input_size),
        batches=tuple(batch or [1]),
        precision=precision,
        score_min=score_min,
        images=images,
        rounds=rounds,
        cpu_time=cpu_time,
        peers=tuple(peer or ()),
        **({} if threads is None else {"threads": threads}),
    )
    console = Console(highlight=False)
    with console.status("Segmenting images"):
        results = benchmark_engine(weights or ["lite", "resnet50-random"], settings)
    title = "Milliseconds per image ({clock}), {shape}, {threads} threads, images of {images}".format(**results[0])
    show_records(console, title, results, leave_out=("shape", "threads", "clock", "images", "K", "D", "precision"))
    if json is not None:
        write_results(json, results)
    ours = [record for record in results if record["engine"] == "openvino"]
    require_limits(console, ours, [("ratio", ratio_min, False)], name="{weights} at batch {batch}")
