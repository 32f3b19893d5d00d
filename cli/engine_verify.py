"""`roadmask engine verify`: whether an engine finds what torchvision eager finds."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.engine_options import either
from roadmask.cli.network_options import DataOption, InputSizeOption, PrecisionOption, WeightsOption, gpu_precision
from roadmask.cli.progress import image_bar
from roadmask.engines.errors import ConfigError
from roadmask.engines.table import ENGINES

_VERIFIED = [row.name for row in ENGINES.values() if row.runs_on_gpu]
"""Engines that run the graph for GPUs, which is what is verified."""


def verify(
    weights: WeightsOption = "lite",
    precision: PrecisionOption = "fp16",
    input_size: InputSizeOption = "384x640",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Batch size; images of one size share a batch.")] = 1,
    engine: Annotated[
        str | None,
        typer.Option(
            help=f"{either(_VERIFIED)}; onnxruntime runs the ONNX that plans are built from. "
            "[dim]Default: tensorrt on a GPU, onnxruntime without one[/]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Compares an engine with torchvision eager on real images: differences, and mask AP of both.

    Without a GPU, the ONNX that plans are built from is verified in ONNX Runtime, and a message says so.

    Tolerances: mask AP may be below torchvision's by 0.1 points in fp32, 0.3 in fp16 and 0.7 in int8, and 0.2 %, 1 %
    and 5 % of the instances that torchvision scores above 0.6 may be missing. Of the boxes that are found, 99 % must
    differ by at most 0.05 pixels in fp32 and 0.5 in fp16, and half by at most 5 in int8; scores and masks have limits
    of their own. Exit codes: 0, or 2 beyond the tolerances.

    [bold]roadmask engine verify --precision fp16 --batch 4[/]
    """
    from roadmask.engines.choosing import has_nvidia_driver
    from roadmask.engines.classes import category_ids
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.graph_settings import GraphSettings
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.table import ENGINES, EngineOptions
    from roadmask.engines.torch.segmenter import TorchSegmenter
    from roadmask.evaluation import common_classes, read_truth
    from roadmask.evaluation.engines.acceptance import SETS
    from roadmask.evaluation.engines.verification import TOLERANCES, verify_segmenter

    console = Console(highlight=False)
    found, arithmetic, shape = find_weights(weights), gpu_precision(precision), parse_input_size(input_size)
    folders = [data / each for each in SETS if (data / each / "instances.json").is_file()] if data else []
    allowed, shown = TOLERANCES[arithmetic], {"half": "half", "most": "99 %"}
    if not folders:
        raise ConfigError(f"expected --data DIR or ROADMASK_DATA to hold {' or '.join(SETS)}, got {data}.")
    if engine is None:
        engine = "tensorrt" if has_nvidia_driver() else "onnxruntime"
        if engine == "onnxruntime":
            console.print("No GPU here: this verifies the ONNX that plans are built from, in ONNX Runtime.")
    known = found.class_names
    names = dict.fromkeys(n for f in folders for n in common_classes(read_truth(f / "instances.json"), known))
    wanted = category_ids(list(names), known)
    if engine not in _VERIFIED:
        raise ConfigError(f"expected the engine {either(_VERIFIED)}, got {engine!r}.")
    options = EngineOptions(0.05, shape, precision=arithmetic, batches=(batch,))
    verified = ENGINES[engine].open(found, wanted, options)
    settings = GraphSettings.of(found.architecture)
    eager = TorchSegmenter(found, wanted, score_min=0.05, input_size=shape, settings=settings)
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
