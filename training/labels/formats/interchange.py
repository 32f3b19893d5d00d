"""What all formats share: how they name images, and what they give back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pycocotools import mask as coco_mask

from roadmask.engines.errors import InputError
from roadmask.streaming.camera_names import camera_name
from roadmask.training.labels.records import LabelledImage

_OUR_NAME = re.compile(r"(?:^|.*/)([A-Za-z0-9_-]+)/(\d{6,9})\.\w+$")
_FRAME = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class ForeignImage:
    """An image that a file of another tool names."""

    name: str
    """Its path as the file has it."""
    size: tuple[int, int]
    """Height and width in pixels."""
    drive: str
    """Drive that it belongs to, from the file or its name."""
    frame: int | None
    """Frame index, from the file or its name; None where neither has one."""


@dataclass(frozen=True)
class ForeignLabel:
    """One object in one image of a file of another tool."""

    image: int
    """Position of its image among the images of the file."""
    object: int | None
    """Id of the object over time; None where the file has none."""
    class_name: str
    counts: bytes
    """COCO's compressed run lengths of its mask."""
    score: float = 1.0
    """Confidence, 0 to 1."""
    crowd: bool = False
    """Whether it is a region that nobody took apart."""


@dataclass(frozen=True)
class ForeignLabels:
    """All that a file of another tool says."""

    images: tuple[ForeignImage, ...]
    labels: tuple[ForeignLabel, ...]


def image_name(image: LabelledImage) -> str:
    """Returns the name that exported files have for an image: `DRIVE/FRAME.jpg`."""
    suffix = ".jpg" if image.file is None else PurePosixPath(image.file).suffix
    return f"{image.drive}/{image.frame:06d}{suffix}"


def foreign_image(
    name: str, size: tuple[int, int], default_drive: str, drive: object = None, frame: object = None
) -> ForeignImage:
    """Returns an image that a file names.

    Args:
        name: as the file has it.
        size: height and width in pixels.
        default_drive: drive of images whose names have none.
        drive: as the file states it; None if it does not.
        frame: frame index as the file states it; None if it does not.

    Raises:
        InputError: the size is not positive.
    """
    if min(size) < 1:
        raise InputError(f"expected a height and width of at least 1 for {name}, got {size}")
    if isinstance(drive, str) and isinstance(frame, int):
        return ForeignImage(name, size, drive, frame)
    ours = _OUR_NAME.match(name)
    if ours:
        return ForeignImage(name, size, ours[1], int(ours[2]))
    stem = PurePosixPath(name).stem
    number = _FRAME.search(stem)
    folder = camera_name(PurePosixPath(name).parent.name)
    return ForeignImage(name, size, folder or default_drive, int(number[1]) if number else None)


def box_and_area(counts: bytes, size: tuple[int, int]) -> tuple[list[float], int]:
    """Returns the box x, y, width, height of a mask, and its area, in pixels."""
    rle = {"size": list(size), "counts": counts}
    return [float(side) for side in coco_mask.toBbox(rle)], int(coco_mask.area(rle))


def read_object(path: Path, *lists: str) -> Mapping[str, Any]:
    """Reads a JSON file that holds an object with these lists.

    Raises:
        InputError: it is missing, no JSON, or lacks a list.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected {path} to be JSON, got something else ({error}).") from error
    if not isinstance(document, dict) or not all(isinstance(document.get(name), list) for name in lists):
        raise InputError(f"expected {path} to hold an object with the lists {', '.join(lists)}.")
    return document


class Placed:
    """Puts the place in a file before the message of an error in it."""

    def __init__(self, path: Path, what: str) -> None:
        self._place = f"{path}: {what}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise InputError(f"{self._place} has no {error}: see the documentation of the format.") from error
        if isinstance(error, TypeError | ValueError | AttributeError | OverflowError):
            raise InputError(f"{self._place}: {str(error).rstrip('.')}.") from error
