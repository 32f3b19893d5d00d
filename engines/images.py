"""What comes into and goes out of every engine that runs a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import BoxMasks
from roadmask.engines.segmenter import Image


def checked_image(image: Any) -> Image:
    """Returns the image, its memory contiguous.

    Raises:
        InstancesError: not a uint8 (H, W, 3) array with at least one pixel.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InstancesError(f"expected an image as uint8 (H, W, 3) RGB, got {came}.")
    if not image.size:
        raise InstancesError(f"expected an image of at least 1 x 1 pixels, got {image.shape}.")
    return np.ascontiguousarray(image)


def network_instances(
    letterbox: Letterbox,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    category_ids: NDArray[np.int64],
    masks: NDArray[np.float32],
) -> Instances:
    """Returns instances in the image's own pixels.

    Args:
        letterbox: how the image lay in the network's input.
        boxes: (N, 4) in pixels of the network's input.
        scores: (N,), best first.
        category_ids: (N,) COCO category ids.
        masks: (N, 28, 28) probabilities.
    """
    boxes = letterbox.undo(boxes)
    size = letterbox.image_size
    return Instances(size, boxes, scores, category_ids, BoxMasks(masks, boxes, size))
