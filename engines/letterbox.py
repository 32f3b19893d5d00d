"""Fits images of any size into the few input sizes a static graph is compiled for, and maps boxes back exactly."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import ConfigError
from roadmask.engines.segmenter import Image

STRIDE = 32
"""Input sizes are multiples of this: the stride of the coarsest level of the backbone, in pixels."""
_LANDSCAPE = ((384, 384), (384, 512), (384, 640), (256, 640), (192, 640))
INPUT_SIZES = (*_LANDSCAPE, *((width, height) for height, width in _LANDSCAPE if height != width))
"""Heights and widths of network inputs: short side at most 384, long side at most 640, as lite was trained."""
_SCALE_SLACK = 0.95
"""A smaller input size is preferred if it keeps at least this fraction of the resolution."""
PADDING = (124, 116, 104)
"""ImageNet's mean colour (RGB), which normalisation turns into nearly the zero that torchvision pads with."""


@dataclass(frozen=True)
class Letterbox:
    """How an image lies in the network's input: resized, in the top left corner, padded on the right and below."""

    image_size: tuple[int, int]
    """Height and width of the image in pixels."""
    input_size: tuple[int, int]
    """Height and width of the network's input in pixels."""
    content_size: tuple[int, int]
    """Height and width of the resized image in pixels, each at least 1."""

    @classmethod
    def fit(cls, image_size: tuple[int, int], input_size: tuple[int, int] | None = None) -> Letterbox:
        """Chooses the input size by the image's aspect, unless one is given, and the size of the resized image."""
        shape = input_size or choose_input_size(image_size)
        scale = _scale(image_size, shape)
        height, width = (max(1, min(limit, round(side * scale))) for side, limit in zip(image_size, shape, strict=True))
        return cls(image_size, shape, (height, width))

    def apply(self, image: Image) -> Image:
        """Returns the (H, W, 3) input of the network for an (h, w, 3) image."""
        height, width = self.content_size
        canvas = np.empty((*self.input_size, 3), np.uint8)
        content = canvas[:height, :width]
        if self.content_size == self.image_size:
            content[...] = image
        else:
            content[...] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        canvas[height:] = PADDING
        canvas[:height, width:] = PADDING
        return canvas

    def undo(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns (N, 4) boxes of the network's input in pixels of the image, clipped to it."""
        height, width = self.image_size
        scale = np.array([width / self.content_size[1], height / self.content_size[0]])
        original: NDArray[np.float64] = np.clip(boxes.reshape(-1, 2, 2) * scale, 0, (width, height))
        return original.reshape(-1, 4).astype(np.float32)


def choose_input_size(image_size: tuple[int, int], shapes: Sequence[tuple[int, int]] = INPUT_SIZES) -> tuple[int, int]:
    """Returns the smallest input size that shows an image of this height and width nearly as large as any other."""
    best = max(_scale(image_size, shape) for shape in shapes)
    roomy = [shape for shape in shapes if _scale(image_size, shape) >= _SCALE_SLACK * best]
    return min(roomy, key=lambda shape: shape[0] * shape[1])


def parse_input_size(input_size: str | tuple[int, int]) -> tuple[int, int]:
    """Reads the size of a network's input.

    Args:
        input_size: height and width as text, such as `384x640`, or as two integers.

    Raises:
        ConfigError: the size is not two multiples of 32 from 64 to 2048.
    """
    try:
        height, width = (
            map(int, input_size.lower().split("x")) if isinstance(input_size, str) else map(operator.index, input_size)
        )
    except (TypeError, ValueError) as error:  # of a number, of fractions; of another count, of words
        raise ConfigError(
            f"expected an input size as HEIGHTxWIDTH, for example 384x640, or as two integers, got {input_size!r}."
        ) from error
    if any(side % STRIDE or not 64 <= side <= 2048 for side in (height, width)):
        near = "x".join(str(min(max(round(side / STRIDE) * STRIDE, 64), 2048)) for side in (height, width))
        raise ConfigError(f"expected an input size of multiples of 32 from 64 to 2048, got {input_size!r}: use {near}.")
    return height, width


def _scale(image_size: tuple[int, int], shape: tuple[int, int]) -> float:
    return min(shape[0] / image_size[0], shape[1] / image_size[1])
