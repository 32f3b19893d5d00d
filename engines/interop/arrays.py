"""Arrays and tensors of other libraries, checked and turned into the types of `Instances`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.masks import RleMasks


def as_array(values: Any) -> NDArray[Any]:
    """Returns the array of a NumPy array, a list or a torch tensor on any device and of any precision."""
    if hasattr(values, "detach"):  # a tensor: NumPy knows neither its device nor bfloat16
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def as_boxes(values: Any) -> NDArray[np.float32]:
    """Returns (N, 4) boxes x1, y1, x2, y2; without boxes (0, 4), however the emptiness is shaped.

    Raises:
        InstancesError: the boxes have another shape.
    """
    boxes = as_array(values).astype(np.float32)
    if not boxes.size:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InstancesError(f"expected boxes as (N, 4) x1, y1, x2, y2, got {boxes.shape}.")
    return boxes


def as_vector(name: str, values: Any, count: int) -> NDArray[Any]:
    """Returns one value per instance.

    Raises:
        InstancesError: there is another number of values.
    """
    vector = as_array(values)
    if vector.shape != (count,):
        raise InstancesError(f"expected {name} as ({count},), one value per box, got {vector.shape}.")
    return vector


def size_of_image(given: tuple[int, int] | None, of_masks: tuple[int, int] | None) -> tuple[int, int]:
    """Returns the image's height and width, as given or as the masks have it.

    Raises:
        InstancesError: neither is known, or they differ.
    """
    if of_masks is None and given is None:
        raise InstancesError("expected image_size=(height, width), since there are no masks to tell it; got None.")
    if of_masks is not None and given is not None and tuple(given) != of_masks:
        raise InstancesError(f"expected masks of the image's size {tuple(given)}, got masks of {of_masks}.")
    height, width = of_masks if of_masks is not None else given or (0, 0)
    return int(height), int(width)


def encoded(images: Iterable[NDArray[np.bool_]], image_size: tuple[int, int]) -> RleMasks:
    """Returns (H, W) masks as run lengths; only one of them is held in memory at a time."""
    return RleMasks(tuple(RleMasks.from_dense(image[None], image_size).counts[0] for image in images), image_size)
