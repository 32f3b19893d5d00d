"""`roadmask engine build`: TensorRT plans for this machine's GPU or another chip."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from roadmask.cli.network_options import (
    DataOption,
    InputSizeOption,
    PrecisionOption,
    WeightsOption,
    gpu_precision,
    training_images,
)
from roadmask.cli.progress import image_bar
from roadmask.engines.errors import ConfigError

if TYPE_CHECKING:
    from roadmask.engines.networks.weights import Weights
    from roadmask.engines.tensorrt.tensorrt_module import Flavour
    from roadmask.evaluation.engines.acceptance import Reduced


def build(
    weights: WeightsOption = "lite",
    precision: PrecisionOption = "fp16",
    input_size: InputSizeOption = "384x640",
    batch: Annotated[str, typer.Option(help="Batch sizes, separated by commas; one plan is built for each.")] = "1",
    flavour: Annotated[str, typer.Option(help="TensorRT to build with: tensorrt or tensorrt-rtx.")] = "tensorrt-rtx",
    target: Annotated[
        str | None,
        typer.Option(help="Chip to build for, such as sm89; needs no GPU. [dim]Default: the GPU here[/]"),
    ] = None,
    data: DataOption = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of street images on which the ranges of int8 are measured; they are stored until another "
            "folder is given. [dim]Default: the stored ranges, or else street_train/images of --data[/]",
            show_default=False,
        ),
    ] = None,
    unmeasured: Annotated[
        bool, typer.Option("--unmeasured", help="Build without measuring how much accuracy the precision costs.")
    ] = False,
) -> None:
    """Builds TensorRT plans into the cache.

    fp16 and int8 are built only if mask AP on coco_dev and pennfudan_dev falls by at most 0.3 and 0.7 points against
    fp32, and if no number in the network comes near the limit of fp16. Both are measured once per graph, on the CPU.
    Exit codes: 0, or 2 if a plan cannot be built or is refused.

    [bold]roadmask engine build --precision fp16 --input-size 384x640 --batch 1,4 --target sm89[/]
    """
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.typed_onnx import typed_onnx
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.tensorrt.build import Target, build_plan
    from roadmask.engines.tensorrt.plans import PlanKey, find_or_build
    from roadmask.engines.tensorrt.tensorrt_module import find_target, load_tensorrt

    console = Console(highlight=False)
    if flavour not in {"tensorrt", "tensorrt-rtx"}:
        raise ConfigError(f"expected --flavour tensorrt or tensorrt-rtx, got {flavour!r}.")
    kind, shape, arithmetic = cast("Flavour", flavour), parse_input_size(input_size), gpu_precision(precision)
    wanted = Target(kind, target or "here")
    tensorrt = load_tensorrt(kind)
    if wanted.chip == "here":
        # The key of a plan for the GPU of this machine holds its name and driver, which only CUDA knows.
        chip, driver = _gpu_here(flavour)
    else:
        chip, driver = wanted.chip, ""
        find_target(tensorrt, chip)
    found = find_weights(weights)
    size = f"{shape[0]}x{shape[1]}"
    batches = _batches(batch)
    if arithmetic == "int8":
        _calibrate(found, shape, calibration, data, console)
    elif calibration is not None:
        raise ConfigError(f"expected --precision int8 with --calibration, got {precision}: leave out --calibration.")
    measured: dict[str, Any] | None = {}
    if arithmetic != "fp32":
        measured = None if unmeasured else _accept(found, arithmetic, shape, data, console)
    for frames in batches:
        with console.status(f"{found.name} {size} batch {frames}: exporting") as status:
            onnx = typed_onnx(found, shape, frames, arithmetic)
            digest = hashlib.sha256(onnx.read_bytes()).hexdigest()
            key = PlanKey(digest, found.name, flavour, str(tensorrt.__version__), chip, driver, precision, size, frames)
            label = f"{found.name} {size} batch {frames}: "
            plan, new = find_or_build(
                key,
                lambda onnx=onnx, frames=frames, label=label: build_plan(  # type: ignore[misc]
                    onnx,
                    wanted,
                    frames,
                    shape,
                    lambda phase: status.update(label + phase),
                ),
                measured,
            )
        said = "built" if new else "already built"
        what = f"{found.name} {precision} {size} batch {frames} for {chip}"
        console.print(f"{said}: {what}, {plan.bytes / 1e6:.1f} MB, {plan.path}", soft_wrap=True)


def _calibrate(
    weights: Weights, shape: tuple[int, int], folder: Path | None, data: Path | None, console: Console
) -> None:
    """Measures the ranges of int8, unless they are stored and no folder of images is given."""
    from roadmask.engines.networks.quantization import IMAGES, calibrate, has_calibration
    from roadmask.engines.networks.typed_onnx import typed_onnx

    if folder is None and has_calibration(weights, shape):
        return
    chosen = training_images(folder, data, "calibrating int8", "--calibration")
    with image_bar(f"ranges of int8 in {chosen}", IMAGES) as advance:
        calibrate(typed_onnx(weights, shape, 1, "fp32"), weights, shape, chosen, on_image=advance)
    console.print(f"{weights.name}: int8 was calibrated on images of {chosen}", soft_wrap=True)


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
        console.print(f"largest number in fp32: {value:.1f} in {layer}; fp16 ends at 65504")
    acceptance.require()
    return acceptance.record()


def _batches(text: str) -> list[int]:
    try:
        batches = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"expected --batch as whole numbers such as 1,4,8, got {text!r}.") from error
    if min(batches) < 1 or max(batches) > 64:
        raise ConfigError(f"expected --batch from 1 to 64, got {text!r}.")
    return batches


def _gpu_here(flavour: str) -> tuple[str, str]:
    from roadmask.engines.tensorrt.device import describe_gpu

    gpu = describe_gpu(flavour)
    return gpu.chip, gpu.driver
