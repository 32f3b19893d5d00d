"""`roadmask engine`: TensorRT plans, built on any machine, listed and removed; and int8's ranges on a CPU."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.progress import image_bar
from roadmask.engines.errors import ConfigError, InputError, PlanError

if TYPE_CHECKING:
    from roadmask.engines.networks.typed_onnx import GpuPrecision
    from roadmask.engines.networks.weights import Weights
    from roadmask.engines.tensorrt.tensorrt_module import Flavour
    from roadmask.evaluation.engines.acceptance import Reduced

engine_app = typer.Typer(help="Build and keep TensorRT plans; calibrate int8.", no_args_is_help=True)
WeightsOption = Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict.")]
ShapeOption = Annotated[str, typer.Option(metavar="HxW", help="Of the network's input.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, fp16 or int8.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="ROADMASK_DATA",
        metavar="DIR",
        help="Folder of coco_dev and pennfudan_dev, by which a precision is accepted.",
    ),
]
TrainingDataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="ROADMASK_DATA", metavar="DIR", help="Folder that holds street_train/images, for want of --images."
    ),
]


@engine_app.command()
def build(
    weights: WeightsOption = "lite",
    precision: PrecisionOption = "fp16",
    shape: ShapeOption = "384x640",
    batch: Annotated[str, typer.Option(help="Frames in a call; a plan for each.")] = "1",
    flavour: Annotated[str, typer.Option(help="tensorrt or tensorrt-rtx.")] = "tensorrt-rtx",
    target: Annotated[
        str | None, typer.Option(help="Chip, such as sm89; needs no GPU. [dim]Default: the GPU here[/]")
    ] = None,
    data: DataOption = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="int8: images of streets that its ranges are measured on, kept until others are given. "
            "[dim]Default: those kept, else street_train/images of --data[/]",
            show_default=False,
        ),
    ] = None,
    unmeasured: Annotated[
        bool, typer.Option("--unmeasured", help="Build though nothing says how much accuracy the precision costs.")
    ] = False,
) -> None:
    """Builds TensorRT plans into the cache.

    fp16 and int8 are built only if mask AP on coco_dev and pennfudan_dev falls by at most 0.3 and 0.7 points against
    fp32, and no number in the network comes near to where half ends; measured once for a graph, on the CPU. Exit codes:
    0, or 2 if it cannot be built or is refused.

    [bold]roadmask engine build --precision fp16 --shape 384x640 --batch 1,4 --target sm89[/]
    """
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.typed_onnx import typed_onnx
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.tensorrt.build import Target, build_plan
    from roadmask.engines.tensorrt.plans import PlanKey, find_or_build
    from roadmask.engines.tensorrt.tensorrt_module import find_target, load_tensorrt

    console = Console(highlight=False)
    if flavour not in {"tensorrt", "tensorrt-rtx"}:
        raise ConfigError(f"expected the flavour tensorrt or tensorrt-rtx, got {flavour!r}.")
    kind, input_size, arithmetic = cast("Flavour", flavour), parse_input_size(shape), gpu_precision(precision)
    wanted = Target(kind, target or "here")
    tensorrt = load_tensorrt(kind)
    if wanted.chip == "here":
        # A plan for the GPU here is keyed by its name and driver, which only CUDA tells.
        chip, driver = _gpu_here(flavour)
    else:
        chip, driver = wanted.chip, ""
        find_target(tensorrt, chip)
    found = find_weights(weights)
    size = f"{input_size[0]}x{input_size[1]}"
    batches = _batches(batch)
    if arithmetic == "int8":
        _calibrate(found, input_size, calibration, data, console)
    elif calibration is not None:
        raise ConfigError(f"--calibration is for the precision int8, got {precision}: leave it out.")
    measured: dict[str, Any] | None = {}
    if arithmetic != "fp32":
        measured = None if unmeasured else _accept(found, arithmetic, input_size, data, console)
    for frames in batches:
        with console.status(f"{found.name} {size} batch {frames}: exporting") as status:
            onnx = typed_onnx(found, input_size, frames, arithmetic)
            digest = hashlib.sha256(onnx.read_bytes()).hexdigest()
            key = PlanKey(digest, found.name, flavour, str(tensorrt.__version__), chip, driver, precision, size, frames)
            label = f"{found.name} {size} batch {frames}: "
            plan, new = find_or_build(
                key,
                lambda onnx=onnx, frames=frames, label=label: build_plan(  # type: ignore[misc]
                    onnx,
                    wanted,
                    frames,
                    input_size,
                    lambda phase: status.update(label + phase),
                ),
                measured,
            )
        said = "built" if new else "already built"
        what = f"{found.name} {precision} {size} batch {frames} for {chip}"
        console.print(f"{said}: {what}, {plan.bytes / 1e6:.1f} MB, {plan.path}", soft_wrap=True)


@engine_app.command("list")
def list_plans() -> None:
    """Lists the plans in the cache, each checked against its manifest."""
    from roadmask.engines.tensorrt.plans import load, manifests, read_manifest, unfinished

    headings = ("plan", "weights", "flavour", "chip", "precision", "batch", "MB", "accuracy", "state")
    table = Table(*headings, title="Plans", title_justify="left")
    for path in manifests():
        try:
            plan = read_manifest(path)
            load(plan)
        except PlanError as error:
            table.add_row(path.stem, *["-"] * 7, f"refused: {error}")
            continue
        key, megabytes = plan.key, f"{plan.bytes / 1e6:.1f}"
        version = f"{key.flavour} {key.version}"
        accuracy = "unmeasured" if plan.measured is None else "accepted" if plan.measured else "-"
        what = (key.weights, version, key.chip, key.precision, str(key.batch), megabytes)
        table.add_row(path.stem, *what, accuracy, "intact")
    for name, size in unfinished().items():
        table.add_row(name, *["-"] * 5, f"{size / 1e6:.1f}", "-", "unfinished: being built, or to be removed")
    Console(highlight=False).print(table)


@engine_app.command()
def remove(name: Annotated[str, typer.Argument(help="A plan's name or how it begins, as `list` shows it.")]) -> None:
    """Removes plans from the cache."""
    from roadmask.engines.tensorrt.plans import remove as remove_plans

    if not name:
        raise InputError("expected the name of a plan, got nothing: `roadmask engine list` shows them.")
    removed = remove_plans(name)
    if not removed:
        raise InputError(
            f"expected a plan that begins with {name!r}, there is none: `roadmask engine list` shows them."
        )
    Console(highlight=False).print(f"removed {removed}")


@engine_app.command()
def activations(
    weights: WeightsOption = "lite",
    shape: ShapeOption = "384x640",
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[dim]Default: street_train/images of --data[/]", show_default=False),
    ] = None,
    data: TrainingDataOption = None,
    count: Annotated[int, typer.Option(min=1, help="Images, evenly spread over the folder.")] = 32,
) -> None:
    """Measures the largest number that each layer takes and gives on real images, in fp32: fp16 ends at 65504.

    Exit code 2 if one is 30000 or more.
    """
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.activations import largest_activations, require_half
    from roadmask.engines.networks.image_folder import chosen_images, read_image
    from roadmask.engines.networks.weights import find_weights

    files = chosen_images(_images(images, data, "activations are measured", "--images"), count)
    found, console = find_weights(weights), Console(highlight=False)
    with image_bar("activations", len(files)) as advance:
        seen = largest_activations(found, parse_input_size(shape), [read_image(file) for file in files], advance)
    largest = sorted(seen.items(), key=lambda item: -item[1])
    table = Table(
        "layer", "largest", title=f"Five of {len(seen)} inputs and outputs of {found.name}, {len(files)} images"
    )
    for name, value in largest[:5]:
        table.add_row(name, f"{value:.1f}")
    console.print(table)
    require_half(seen)


@engine_app.command()
def calibrate(
    weights: WeightsOption = "lite",
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[dim]Default: street_train/images of --data[/]", show_default=False),
    ] = None,
    data: TrainingDataOption = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Images, evenly spread over the folder.", show_default="32")
    ] = None,
) -> None:
    """Measures what --precision int8 needs to know on a CPU: how large numbers in the network are on real images.

    lite comes with ranges of its own; those that are measured here take their place. Plans for GPUs have ranges of
    their own, too: `roadmask engine build --precision int8 --calibration DIR`.
    """
    from roadmask.engines.networks.image_folder import chosen_images, read_image
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.openvino import calibration as openvino_calibration

    files = chosen_images(_images(images, data, "int8 is calibrated", "--images"), count or openvino_calibration.IMAGES)
    found = find_weights(weights)
    with image_bar(f"ranges of {found.name}", len(files)) as advance:
        path = openvino_calibration.calibrate(found, map(read_image, files), advance)
    Console(highlight=False).print(f"{found.name}: --precision int8 takes its ranges from {path}", soft_wrap=True)


def _images(folder: Path | None, data: Path | None, purpose: str, option: str) -> Path:
    """Returns the folder that was named, or that of the data's training images."""
    of_data = None if data is None else data / "street_train" / "images"
    if folder is None and (of_data is None or not of_data.is_dir()):
        raise ConfigError(
            f"{purpose} on real images, and none are known: give {option} DIR, a folder of a few dozen images of "
            "streets, JPEG or PNG."
        )
    return folder or cast("Path", of_data)


def _calibrate(
    weights: Weights, shape: tuple[int, int], folder: Path | None, data: Path | None, console: Console
) -> None:
    """Measures the ranges of int8, unless there are some and no images are given."""
    from roadmask.engines.networks.quantization import IMAGES, calibrate, has_calibration
    from roadmask.engines.networks.typed_onnx import typed_onnx

    if folder is None and has_calibration(weights, shape):
        return
    chosen = _images(folder, data, "int8 is calibrated", "--calibration")
    with image_bar(f"ranges of int8 in {chosen}", IMAGES) as advance:
        calibrate(typed_onnx(weights, shape, 1, "fp32"), weights, shape, chosen, on_image=advance)
    console.print(f"{weights.name}: int8 is calibrated on images of {chosen}", soft_wrap=True)


def _accept(
    weights: Weights, precision: Reduced, shape: tuple[int, int], data: Path | None, console: Console
) -> dict[str, Any]:
    from roadmask.evaluation.engines.acceptance import measure

    with image_bar(f"mask AP of {precision}", 0) as advance:
        acceptance = measure(weights, precision, shape, data, advance)
    console.print(f"measured: {acceptance.way}", soft_wrap=True)
    for each, figures in acceptance.mask_ap.items():
        shown = ", ".join(f"{kind} {ap:.4f}" for kind, ap in figures.items())
        console.print(f"{weights.name} on {each}: mask AP {shown}")
    for layer, value in acceptance.largest.items():
        console.print(f"largest number in fp32: {value:.1f} in {layer}; half ends at 65504")
    acceptance.require()
    return acceptance.record()


def gpu_precision(name: str) -> GpuPrecision:
    """Reads a precision of the networks on a GPU.

    Raises:
        ConfigError: it is none.
    """
    if name not in {"fp32", "fp16", "int8"}:
        raise ConfigError(f"expected the precision fp32, fp16 or int8, got {name!r}.")
    return cast("GpuPrecision", name)


def _batches(text: str) -> list[int]:
    try:
        batches = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"expected batch sizes as 1,4,8, got {text!r}.") from error
    if min(batches) < 1 or max(batches) > 64:
        raise ConfigError(f"expected batch sizes from 1 to 64, got {text!r}.")
    return batches


def _gpu_here(flavour: str) -> tuple[str, str]:
    from roadmask.engines.tensorrt.device import describe_gpu

    gpu = describe_gpu(flavour)
    return gpu.chip, gpu.driver
