"""`roadmask engine verify`: whether an engine finds what torchvision eager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.engine import DataOption, PrecisionOption, ShapeOption, WeightsOption, gpu_precision
from roadmask.cli.progress import image_bar
from roadmask.engines.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadmask.engines import Segmenter
    from roadmask.engines.networks.typed_onnx import GpuPrecision
    from roadmask.engines.networks.weights import Weights


def verify(
    weights: WeightsOption = "lite",
    precision: PrecisionOption = "fp16",
    shape: ShapeOption = "384x640",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Images of one size that go in together.")] = 1,
    engine: Annotated[
        str | None,
        typer.Option(
            help="tensorrt, torch-cuda, or onnxruntime: the ONNX that plans are built from. "
            "[dim]Default: tensorrt on a GPU, else onnxruntime[/]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Runs real images through an engine and through torchvision eager: differences, and mask AP of both.

    On a machine without a GPU the ONNX that plans are built from is verified, in ONNX Runtime, and said to be.

    Exit code 2 beyond the tolerances. Mask AP may be 0.1 points under torchvision's in fp32, 0.3 in fp16, 0.7 in int8;
    0.2 %, 1 % and 5 % of the instances it is sure of may be missing. Of the others 99 % must be within 0.05 pixels in
    fp32 and 0.5 in fp16, half within 5 in int8; scores and masks have limits of their own.

    [bold]roadmask engine verify --precision fp16 --batch 4[/]
    """
    from roadmask.engines.classes import category_ids
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.load import has_nvidia_driver
    from roadmask.engines.networks.graph_settings import GraphSettings
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.torch.segmenter import TorchSegmenter
    from roadmask.evaluation import common_classes, read_truth
    from roadmask.evaluation.engines.acceptance import SETS
    from roadmask.evaluation.engines.verification import TOLERANCES, verify_segmenter

    console = Console(highlight=False)
    found, arithmetic, input_size = find_weights(weights), gpu_precision(precision), parse_input_size(shape)
    folders = [data / each for each in SETS if (data / each / "instances.json").is_file()] if data else []
    allowed, shown = TOLERANCES[arithmetic], {"half": "half", "most": "99 %"}
    if not folders:
        raise ConfigError(f"expected --data DIR or ROADMASK_DATA with {' or '.join(SETS)} in it, got {data}.")
    if engine is None:
        engine = "tensorrt" if has_nvidia_driver() else "onnxruntime"
        if engine == "onnxruntime":
            console.print("No GPU here: this verifies the ONNX that plans are built from, in ONNX Runtime.")
    known = [category for category in found.architecture.category_ids if category]
    names = dict.fromkeys(n for f in folders for n in common_classes(read_truth(f / "instances.json"), known))
    wanted = category_ids(list(names), known)
    verified = _open(engine, found, wanted, input_size, arithmetic, batch)
    settings = GraphSettings.of(found.architecture)
    eager = TorchSegmenter(found, wanted, score_min=0.05, input_size=input_size, settings=settings)
    for folder in folders:
        with image_bar(folder.name, 2 * len(read_truth(folder / "instances.json").images)) as advance:
            seen = verify_segmenter(verified, eager, folder, advance, batch)
        console.print(f"{found.name} {precision} in {engine}, batch {batch}, on {folder.name}:")
        table = Table("output", "half within", "99 % within", "largest", f"limit of {shown[allowed.share]}")
        rows = {"box, px": (seen.box_px, allowed.box_px), "score": (seen.score, allowed.score)}
        for name, (spread, limit) in (rows | {"mask": (seen.mask, allowed.mask)}).items():
            table.add_row(name, *(f"{each:.5f}" for each in spread), str(limit))
        console.print(table)
        console.print(f"{seen.sure - seen.lost} of {seen.sure} instances that torchvision scores above 0.6 are found")
        console.print(f"mask AP {seen.ap:.4f}, torchvision eager {seen.eager_ap:.4f}")
        seen.require(precision)


def _open(
    engine: str,
    weights: Weights,
    category_ids: Sequence[int],
    shape: tuple[int, int],
    precision: GpuPrecision,
    batch: int,
) -> Segmenter:
    """Returns an engine to verify, which is given so many images at a time."""
    if engine == "onnxruntime":
        from roadmask.engines.onnxruntime.segmenter import OnnxGraphSegmenter

        return OnnxGraphSegmenter(
            weights, category_ids, score_min=0.05, input_size=shape, precision=precision, batch=batch
        )
    if engine == "torch-cuda":
        from roadmask.engines.torch.cuda_segmenter import TorchCudaSegmenter

        if precision == "int8":
            raise ConfigError("expected fp16 or fp32 for the engine torch-cuda, got int8.")
        return TorchCudaSegmenter(
            weights, category_ids, score_min=0.05, input_size=shape, precision=precision, batches=(batch,)
        )
    if engine == "tensorrt":
        from roadmask.engines.tensorrt.opening import open_tensorrt

        return open_tensorrt(weights, category_ids, score_min=0.05, input_size=shape, precision=precision)
    raise ConfigError(f"expected the engine tensorrt, torch-cuda or onnxruntime, got {engine!r}.")
