"""ultralytics: the `Results` of a YOLO model for one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Instances
from roadmask.engines.interop.arrays import as_array, as_boxes, as_vector, encoded
from roadmask.engines.interop.categories import Unknown, ids_of_numbers
from roadmask.engines.masks import MASK_THRESHOLD


def from_ultralytics(result: Any, *, class_names: Mapping[int, str] | None, unknown: Unknown) -> Instances:
    """Reads `ultralytics.engine.results.Results`; see `Instances.from_ultralytics`."""
    if getattr(result, "boxes", None) is None:
        raise InstancesError(
            "expected the result of a model for detection or instance segmentation, with boxes, got one without: "
            "pass one element of the list that such a model returns; classes alone and oriented boxes cannot be read."
        )
    size = int(result.orig_shape[0]), int(result.orig_shape[1])
    boxes = as_boxes(result.boxes.xyxy)
    count = len(boxes)
    scores = as_vector("conf", result.boxes.conf, count)
    names = result.names if class_names is None else class_names
    ids, known = ids_of_numbers(as_vector("cls", result.boxes.cls, count), names, unknown)
    kept = np.flatnonzero(known)
    masks = None
    if result.masks is not None:
        grids = as_array(result.masks.data)
        if len(grids) != count:
            raise InstancesError(f"expected one mask for each of {count} boxes, got {len(grids)} masks.")
        masks = encoded((mask_in_image(grids[n], size) for n in kept), size)
    elif not count:
        masks = encoded((), size)
    return Instances(size, boxes[kept], scores[kept].astype(np.float32), ids[kept], masks)


def mask_in_image(grid: NDArray[Any], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Takes a mask of the network's input back to the image: cuts the padding off and resizes the rest.

    The polygons of `masks.xy` are not used: they join the parts of a mask and fill its holes. The arithmetic is that of
    `ultralytics.utils.ops.scale_masks`.

    Args:
        grid: (h, w) mask in the network's input, where the image lies centred between equal padding; or, with
            `retina_masks=True`, in the image itself.
        image_size: height and width of the image.

    Returns:
        (H, W) whether each pixel of the image is inside.
    """
    height, width = image_size
    rows, columns = grid.shape
    if (rows, columns) == (height, width):
        return np.asarray(grid >= MASK_THRESHOLD)
    gain = min(rows / height, columns / width)
    content_rows, content_columns = max(round(height * gain), 1), max(round(width * gain), 1)
    top, left = round((rows - content_rows) / 2 - 0.1), round((columns - content_columns) / 2 - 0.1)
    content = grid[top : top + content_rows, left : left + content_columns].astype(np.float32)
    resized = cv2.resize(content, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized >= MASK_THRESHOLD)
