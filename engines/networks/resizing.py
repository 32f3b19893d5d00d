"""Camera frames into the network's input, inside the graph: the same numbers as `Letterbox.apply` on the CPU.

OpenCV resizes bytes with integers: two columns, each weighed in 1/2048, then two rows, each sum cut to 16 bits before
the last rounding (`HResizeLinear`, `VResizeLinear` of its resize.cpp). The graph does these very steps, so an image is
the same to the last bit wherever it is resized. Which rows and columns, and their weights, depend on the frame's size
and are inputs: one plan serves every camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.letterbox import Letterbox

WEIGHT_ONE = 2048
"""Sum of OpenCV's two weights of a pixel."""


@dataclass(frozen=True)
class ResizePlan:
    """Where each pixel of the network's input comes from."""

    rows: NDArray[np.int32]
    """(2, H): the rows above and below each row of the network's input."""
    row_weights: NDArray[np.int32]
    """(2, H): weights of these rows, in 1/2048."""
    columns: NDArray[np.int32]
    """(2, W): the columns left and right of each column of the network's input."""
    column_weights: NDArray[np.int32]
    """(2, W): the columns left and right of each column of the network's input."""
    content: NDArray[np.float32]
    """(2,): height and width of the part that is not padding."""

    @classmethod
    def of(cls, letterbox: Letterbox) -> ResizePlan:
        """Returns the plan of a letterbox; padding repeats the last pixel, and the graph paints it over."""
        (height, width), (in_height, in_width) = letterbox.content_size, letterbox.image_size
        rows, row_weights = _taps(in_height, height, letterbox.input_size[0], at_border="repeat")
        columns, column_weights = _taps(in_width, width, letterbox.input_size[1], at_border="drop")
        content = np.array(letterbox.content_size, np.float32)
        return cls(rows, row_weights, columns, column_weights, content)


def _taps(source: int, target: int, padded: int, *, at_border: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the two source places of each target place and their weights, as OpenCV computes them.

    OpenCV treats its borders differently across (`drop` the tap outside) and down (`repeat` the border, which rounds
    differently as both taps keep their weights).
    """
    scale = 1.0 / (target / source)  # in this order: OpenCV's own rounding
    place = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int32)
    part = place - first.astype(np.float32)
    if at_border == "drop":
        outside = (first < 0) | (first >= source - 1)
        part[outside] = 0
        first = np.clip(first, 0, source - 1)
    taps = np.clip(np.stack((first, first + 1)), 0, source - 1)
    shares = np.rint(np.stack((np.float32(1) - part, part)) * np.float32(WEIGHT_ONE))
    beyond = ((0, 0), (0, padded - target))
    return np.pad(taps, beyond, mode="edge").astype(np.int32), np.pad(shares, beyond, mode="edge").astype(np.int32)
