"""torchvision: what its detection models return for one image.

https://docs.pytorch.org/vision/stable/models.html#object-detection-instance-segmentation-and-person-keypoint-detection
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Instances
from roadmask.engines.interop.arrays import as_array, as_boxes, as_vector, encoded, size_of_image
from roadmask.engines.interop.categories import Unknown, ids_of_numbers
from roadmask.engines.masks import MASK_THRESHOLD


def from_torchvision(
    output: Mapping[str, Any],
    image_size: tuple[int, int] | None,
    *,
    class_names: Mapping[int, str] | None,
    unknown: Unknown,
) -> Instances:
    """Reads the output of a detection model for one image; see `Instances.from_torchvision`."""
    missing = [name for name in ("boxes", "labels") if name not in output]
    if missing:
        raise InstancesError(
            f"expected boxes and labels, a model's output for one image, got {', '.join(map(str, output))}: pass one "
            "element of the list that the model returns."
        )
    boxes = as_boxes(output["boxes"])
    count = len(boxes)
    masks = _probabilities(output["masks"], count) if "masks" in output else None
    size = size_of_image(image_size, None if masks is None else (masks.shape[1], masks.shape[2]))
    scores = as_vector("scores", output["scores"], count) if "scores" in output else np.ones(count)
    ids, known = ids_of_numbers(as_vector("labels", output["labels"], count), class_names, unknown)
    kept = np.flatnonzero(known)
    return Instances(
        size,
        boxes[kept],
        scores[kept].astype(np.float32),
        ids[kept],
        None if masks is None else encoded((masks[n] >= MASK_THRESHOLD for n in kept), size),
    )


def _probabilities(values: Any, count: int) -> NDArray[Any]:
    """Returns (N, H, W) probabilities, or masks of 0 and 1."""
    masks = as_array(values)
    if masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    if masks.ndim != 3 or len(masks) != count:
        raise InstancesError(f"expected masks as ({count}, 1, H, W) or ({count}, H, W), got {masks.shape}.")
    if masks.size and not (masks.min() >= 0 and masks.max() <= 1):
        raise InstancesError(
            f"expected mask probabilities from 0 to 1, got values from {masks.min():g} to {masks.max():g}: apply "
            "torch.sigmoid to logits, and divide masks of 0 and 255 by 255."
        )
    return masks
