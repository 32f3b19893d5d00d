"""What a semantic head sees in one image: one class for every cell of a grid over the whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError

UNKNOWN = 255
"""Value of cells that belong to no known class; COCO's ids of things and stuff end at 200."""


@dataclass(frozen=True, eq=False)
class SemanticMap:
    """The classes of a whole image, on a grid that may be coarser than the image.

    Raises:
        InstancesError: the grid is not a uint8 array of two dimensions, is empty, or is finer than the image.
    """

    category_ids: NDArray[np.uint8]
    """(h, w) COCO category ids of stuff and things (road is 149, sky 187), `UNKNOWN` where no class is known. The grid
    covers the whole image: cell (0, 0) touches the image's upper left corner, cell (h - 1, w - 1) the lower right."""
    image_size: tuple[int, int]
    """Height and width of the image in pixels."""

    def __post_init__(self) -> None:
        array, (height, width) = self.category_ids, self.image_size
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2 or not array.size:
            came = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise InstancesError(f"expected a semantic map as uint8 (h, w) of at least one cell, got {came}.")
        if array.shape[0] > height or array.shape[1] > width:
            raise InstancesError(
                f"expected a semantic map of at most {height} x {width} cells, the size of its image, got "
                f"{array.shape}: pass image_size as (height, width)."
            )

    def __repr__(self) -> str:
        (rows, columns), (height, width) = self.category_ids.shape, self.image_size
        return f"SemanticMap({columns} x {rows} cells over {width} x {height})"
