"""The options that describe a network, shared by the commands of `roadmask engine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from roadmask.engines.errors import ConfigError

if TYPE_CHECKING:
    from roadmask.engines.networks.typed_onnx import GpuPrecision

WeightsOption = Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict.")]
InputSizeOption = Annotated[str, typer.Option(metavar="HxW", help="Input size of the network.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, fp16 or int8.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="ROADMASK_DATA",
        metavar="DIR",
        help="Folder that holds coco_dev and pennfudan_dev, on which accuracy is measured.",
    ),
]
TrainingDataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="ROADMASK_DATA", metavar="DIR", help="Folder that holds street_train/images, used without --images."
    ),
]


def gpu_precision(name: str) -> GpuPrecision:
    """Reads a precision of the networks on a GPU.

    Raises:
        ConfigError: it is none.
    """
    if name not in {"fp32", "fp16", "int8"}:
        raise ConfigError(f"expected --precision fp32, fp16 or int8, got {name!r}.")
    return cast("GpuPrecision", name)


def training_images(folder: Path | None, data: Path | None, purpose: str, option: str) -> Path:
    """Returns the folder of images that the user names, or that of the training images of the data.

    Args:
        folder: that the user names, if any.
        data: folder of `--data`, if any.
        purpose: what needs the images, for the message.
        option: that names a folder, for the message.

    Raises:
        ConfigError: there is neither.
    """
    of_data = None if data is None else data / "street_train" / "images"
    if folder is None and (of_data is None or not of_data.is_dir()):
        raise ConfigError(
            f"{purpose} needs real images, and none are known: give {option} DIR, a folder of a few dozen JPEG or PNG "
            "images of streets."
        )
    return folder or cast("Path", of_data)
