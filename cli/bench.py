"""`roadmask bench`: how fast this machine is, against what others do on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.errors import InputError
from roadmask.engines.extras import missing_package
from roadmask.engines.segmenter import Precision
from roadmask.streaming.results_json import write_results

bench_app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

_GpuPrecision = Literal["fp32", "fp16", "int8"]

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the records.", show_default=False)
]


@bench_app.command()
def masks(
    ratio_min: Annotated[
        float | None, typer.Option(help="Exit with 1 where ours is not so many times as fast.", show_default=False)
    ] = None,
    pixel_error_max: Annotated[
        float | None, typer.Option(help="Exit with 1 where a larger share of pixels differs.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Times pasting masks into a 1080p image and encoding them, against torchvision and pycocotools.

    50 instances in boxes of three ranges of sizes; some are cut by the border. Both sides take the same masks, in
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
    hold(console, results, limits, name="boxes of {size_set} px")


@bench_app.command()
def engine(
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="lite, resnet50, resnet50_v2 or a file; with -random added, made-up weights of that network, "
            "which cost as much. Repeat for several.",
            show_default="lite, resnet50-random",
        ),
    ] = None,
    input_size: Annotated[str, typer.Option(metavar="HxW", help="Of the network's input.")] = "384x640",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images in a call. Repeat for several.", show_default="1")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of every engine.", show_default="all cores")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of the default engine; the others compute in fp32.")] = "auto",
    score_min: Annotated[float, typer.Option(min=0.05, max=1, help="Only instances above this score.")] = 0.5,
    images: Annotated[int, typer.Option(min=1, help="At most as many.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="How often each image is timed.")] = 2,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Measure processor time: on a busy machine, with --threads 1."),
    ] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Also time onnxruntime, torch-compile (takes minutes to compile) or yolo (the network of a YOLO11-seg "
            "of the nearest cost, in OpenVINO). Repeat for several.",
            show_default="none",
        ),
    ] = None,
    ratio_min: Annotated[
        float | None,
        typer.Option(help="Exit with 1 where the default engine is not so many times as fast.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Times the default engine against torchvision eager, in turn, on the same letterboxed images.

    Both get the same number of proposals and detections, score threshold and threads; pasting masks is in neither.
    Images are those of coco_dev in the folder that ROADMASK_DATA names, else the sample drive. Needs torch and
    torchvision.
    """
    try:
        from roadmask.evaluation.speed.engine import EngineBenchmark, benchmark_engine
        from roadmask.evaluation.speed.engine_peers import PEERS
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    from roadmask.engines.letterbox import parse_input_size

    if unknown := set(peer or ()) - set(PEERS):
        raise InputError(f"expected as peer {', '.join(PEERS)}, got {', '.join(sorted(unknown))}.")
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
    title = "Milliseconds an image ({clock}), {shape}, {threads} threads, images of {images}".format(**results[0])
    show_records(console, title, results, leave_out=("shape", "threads", "clock", "images", "K", "D", "precision"))
    if json is not None:
        write_results(json, results)
    ours = [record for record in results if record["engine"] == "openvino"]
    hold(console, ours, [("ratio", ratio_min, False)], name="{weights} at batch {batch}")


@bench_app.command()
def footprint(
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="As `run` takes them. Repeat for several.", show_default="lite"),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of the default engine.")] = "auto",
    input_size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Of the network's input.", show_default=False)
    ] = None,
    height: Annotated[int, typer.Option(min=32, max=4096, help="Of the images, the sample drive's.")] = 540,
    width: Annotated[int, typer.Option(min=32, max=4096, help="Of the images.")] = 960,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the engine.", show_default="one for each physical core")
    ] = None,
    frames: Annotated[int, typer.Option(min=5, help="Over which growth is measured.")] = 300,
    start_max: Annotated[
        float | None, typer.Option(help="Exit with 1 above these seconds to start.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures how long a run takes to start with a warm cache, and the memory that its engine holds and takes.

    The start is that of `roadmask run` on a video of one frame of the sample drive: from the start of Python until the
    frame is stored and told of. One before it fills the cache. The engine's memory is that of a process of its own.
    """
    from benchmarks.footprint import FootprintBenchmark, benchmark_footprint

    console, results = Console(highlight=False), []
    for name in weights or ["lite"]:
        settings = FootprintBenchmark(name, precision, input_size, (height, width), threads, frames)
        with console.status(f"Starting {name}"):
            results += benchmark_footprint(settings)
    show_records(console, "What a run takes to start, and its engine holds", results)
    if json is not None:
        write_results(json, results)
    hold(console, results, [("start_s", start_max, True)], name="{weights}")


@bench_app.command("camera-motion")
def camera_motion(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with kitti_drive and kitti_mots_gt; without it, the sample drive alone."),
    ] = None,
    frames: Annotated[int, typer.Option(min=2, max=100, help="Of the sample drive.")] = 100,
    shake: Annotated[
        list[float] | None,
        typer.Option(min=0, max=0.2, help="Share of the width. Repeat for several.", show_default="0, .02, .05, .1"),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures what it is worth to know how the camera moved, on scenes shaken by known amounts.

    Each is followed without, with what the boxes, the images and the vehicle's own pose tell. The truth is known of
    the sample drive and of kitti_mots_gt, which has no images; kitti_drive is what `lite` finds in it.
    """
    from benchmarks import camera_motion as measured
    from roadmask.engines import load_segmenter

    console = Console(highlight=False)
    with console.status("Shaking"):
        scenes = [measured.sample_drive_scene(frames)]
        if data is not None:
            for name in ("kitti_drive", "kitti_mots_gt"):
                if not (data / name).is_dir():
                    raise InputError(f"expected the folder {name} in {data}.")
            scenes.append(measured.image_scene(data / "kitti_drive", load_segmenter("lite")))
            scenes += measured.mots_scenes(data / "kitti_mots_gt")
        results = measured.benchmark_camera_motion(scenes, shake or measured.SHAKES)
    show_records(console, "What knowing the camera's motion is worth", results)
    if json is not None:
        write_results(json, results)


@bench_app.command()
def gpu(
    weights: Annotated[
        str,
        typer.Option(
            help="lite, resnet50, resnet50_v2 or a file; with -random added, made-up weights of that network, which "
            "cost as much and need no download."
        ),
    ] = "resnet50",
    input_size: Annotated[
        list[str] | None, typer.Option(metavar="HxW", help="Repeat for several.", show_default="384x640, 736x1280")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Repeat for several.", show_default="1, 4, 8")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Repeat for several, as the table names them.", show_default="all")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, fp16, or int8 of TensorRT. Repeat for several.", show_default="all"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 50,
    json: JsonOption = None,
) -> None:
    """Checks, then times what runs on this machine's NVIDIA GPU: torchvision, torch.compile, our engines.

    Camera frames are 1080p, of the sample drive. Engines that fail or are wrong are listed with their reason and not
    timed; TensorRT takes part where it is installed. Exit codes: 0, or 2 without a GPU, where an engine that was asked
    for is not installed, or where one is wrong.
    """
    try:
        from benchmarks.gpu import GpuBenchmark, benchmark_gpu, require_right
        from benchmarks.gpu_contenders import ENGINES
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    from roadmask.engines.letterbox import parse_input_size

    shapes = tuple(parse_input_size(each) for each in input_size or ["384x640", "736x1280"])
    chosen = tuple(engine or ()), tuple(precision or ())
    for what, names, known in zip(("engine", "precision"), chosen, (ENGINES, get_args(_GpuPrecision)), strict=True):
        if unknown := set(names) - set(known):
            raise InputError(f"expected as {what} {', '.join(known)}, got {', '.join(sorted(unknown))}.")
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


@bench_app.command()
def plans(
    weights: Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a file.")] = "lite",
    input_size: Annotated[str, typer.Option(metavar="HxW", help="Of the network's input.")] = "384x640",
    precision: Annotated[_GpuPrecision, typer.Option(help="Of the network.")] = "fp16",
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Repeat for several.", show_default="1, 4, 8")] = None,
    target: Annotated[str, typer.Option(help="Chip that TensorRT for RTX builds for; needs no GPU.")] = "sm89",
    json: JsonOption = None,
) -> None:
    """Builds a TensorRT plan for each batch size, then one plan with a profile for each: time and size of both."""
    from benchmarks.plans import benchmark_plans
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.tensorrt.build import Target

    console, found = Console(highlight=False), find_weights(weights)
    with console.status("Building plans"):
        results = benchmark_plans(
            found, parse_input_size(input_size), precision, batch or [1, 4, 8], Target("tensorrt-rtx", target)
        )
    show_records(console, f"Plans of {found.name}", results, leave_out=("weights",))
    if json is not None:
        write_results(json, results)


def show_records(
    console: Console, title: str, results: list[dict[str, Any]], *, leave_out: tuple[str, ...] = ()
) -> None:
    """Prints records as a table: a row each, or a column each where the rows would not fit."""
    table = Table(title=title, title_justify="left")
    names = [name for name in results[0] if name not in leave_out]
    if sum(max(map(len, name.split("_"))) + 3 for name in names) > console.width:
        table.show_header = False
        for name in names:
            table.add_row(name.replace("_", " "), *(_shown(record[name]) for record in results))
        console.print(table)
        return
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for record in results:
        table.add_row(*(_shown(record[name]) for name in names))
    console.print(table)


def hold(
    console: Console,
    results: list[dict[str, Any]],
    limits: Iterable[tuple[str, float | None, bool]],
    *,
    name: str = "{source}",
) -> None:
    """Ends the program with 1 where a limit is missed; what was not measured misses it.

    Args:
        console: is told each record that misses one.
        results: flat records.
        limits: a field of the records, its limit or None, and whether that is its largest value or its smallest.
        name: of a record, from its fields.
    """
    missed = False
    for field, limit, upper in limits:
        for record in results:
            value = record[field]
            if limit is None or (value is not None and (value <= limit if upper else value >= limit)):
                continue
            missed = True
            expected = f"expected at {'most' if upper else 'least'} {limit}"
            console.print(f"{name.format(**record)}: {field} is {value}, {expected}.", soft_wrap=True)
    if missed:
        raise typer.Exit(1)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
