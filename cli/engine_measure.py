"""`roadmask engine activations` and `calibrate`: the range of the numbers inside a network, on real images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.network_options import InputSizeOption, TrainingDataOption, WeightsOption, training_images
from roadmask.cli.progress import image_bar

ImagesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of street images. [dim]Default: street_train/images of --data[/]",
        show_default=False,
    ),
]


def activations(
    weights: WeightsOption = "lite",
    input_size: InputSizeOption = "384x640",
    images: ImagesOption = None,
    data: TrainingDataOption = None,
    count: Annotated[int, typer.Option(min=1, help="Number of images, spread evenly over the folder.")] = 32,
) -> None:
    """Measures the largest number that each layer takes and gives on real images, in fp32. fp16 ends at 65504.

    Exit codes: 0, or 2 if a number is 30000 or more.
    """
    from roadmask.engines.images import read_image
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.activations import largest_activations, require_half
    from roadmask.engines.networks.image_folder import chosen_images
    from roadmask.engines.networks.weights import find_weights

    files = chosen_images(training_images(images, data, "measuring activations", "--images"), count)
    found, console = find_weights(weights), Console(highlight=False)
    with image_bar("activations", len(files)) as advance:
        seen = largest_activations(found, parse_input_size(input_size), [read_image(file) for file in files], advance)
    largest = sorted(seen.items(), key=lambda item: -item[1])
    title = f"The 5 largest of {len(seen)} inputs and outputs of {found.name}, {len(files)} images"
    table = Table("layer", "largest", title=title)
    for name, value in largest[:5]:
        table.add_row(name, f"{value:.1f}")
    console.print(table)
    require_half(seen)


def calibrate(
    weights: WeightsOption = "lite",
    images: ImagesOption = None,
    data: TrainingDataOption = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Number of images, spread evenly over the folder.", show_default="32"),
    ] = None,
) -> None:
    """Measures the ranges that --precision int8 needs on a CPU: how large the numbers in the network are.

    lite comes with ranges of its own; those measured here replace them. Plans for GPUs have ranges of their own: use
    `roadmask engine build --precision int8 --calibration DIR`.
    """
    from roadmask.engines.images import read_image
    from roadmask.engines.networks.image_folder import chosen_images
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.openvino import calibration as openvino_calibration

    folder = training_images(images, data, "calibrating int8", "--images")
    files = chosen_images(folder, count or openvino_calibration.IMAGES)
    found = find_weights(weights)
    with image_bar(f"ranges of {found.name}", len(files)) as advance:
        path = openvino_calibration.calibrate(found, map(read_image, files), advance)
    Console(highlight=False).print(f"{found.name}: --precision int8 reads its ranges from {path}", soft_wrap=True)
