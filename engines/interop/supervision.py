"""supervision: `Detections`, from and to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.errors import EngineError, InstancesError
from roadmask.engines.instances import Instances
from roadmask.engines.interop.arrays import as_array, as_boxes, as_vector, encoded, size_of_image
from roadmask.engines.interop.categories import Unknown, ids_of_names, ids_of_numbers

if TYPE_CHECKING:
    import supervision


def from_supervision(
    detections: supervision.Detections,
    image_size: tuple[int, int] | None,
    *,
    class_names: Mapping[int, str] | None,
    unknown: Unknown,
) -> Instances:
    """Reads `supervision.Detections`; see `Instances.from_supervision`."""
    boxes = as_boxes(detections.xyxy)
    masks, count = detections.mask, len(boxes)  # an array or a CompactMask, which both give one (H, W) mask at a time
    size = size_of_image(image_size, None if masks is None else tuple(masks.shape[1:]))
    confidence = detections.confidence
    scores = np.ones(count) if confidence is None else as_vector("confidence", confidence, count)
    ids, known = _categories(detections, count, class_names, unknown)
    kept = np.flatnonzero(known)
    return Instances(
        size,
        boxes[kept],
        scores[kept].astype(np.float32),
        ids[kept],
        None if masks is None else encoded((np.asarray(masks[int(n)]) != 0 for n in kept), size),
    )


def _categories(
    detections: supervision.Detections, count: int, class_names: Mapping[int, str] | None, unknown: Unknown
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if class_names is None and "class_name" in detections.data:
        return ids_of_names(as_vector("class names", detections.data["class_name"], count), unknown)
    if detections.class_id is None or class_names is None:
        if not count:
            return ids_of_numbers(np.zeros(0, np.int64), None, unknown)
        raise InstancesError(
            "expected detections with class names in data['class_name'], or with class_id and class_names={number: "
            f"class name}}, got {'no class_id' if detections.class_id is None else 'class_id alone'}."
        )
    return ids_of_numbers(as_vector("class_id", detections.class_id, count), class_names, unknown)


def to_supervision(instances: Instances, track_ids: NDArray[np.integer[Any]] | None) -> supervision.Detections:
    """Returns `supervision.Detections`; see `Instances.to_supervision`."""
    try:
        import supervision  # noqa: PLC0415 - only those who ask for its type need it
    except ImportError:
        raise EngineError(
            "Instances.to_supervision needs supervision, which is not installed: pip install supervision"
        ) from None
    masks = None
    if instances.masks is not None:
        masks = np.zeros((len(instances), *instances.image_size), np.bool_)
        for row, mask in enumerate(instances.masks.to_rle().dense()):
            masks[row] = mask
    names = [CLASS_NAMES.get(number, str(number)) for number in instances.category_ids.tolist()]
    since = {} if instances.since_detected_ns is None else {"since_detected_ns": instances.since_detected_ns.copy()}
    return supervision.Detections(
        xyxy=instances.boxes.copy(),
        mask=masks,
        confidence=instances.scores.copy(),
        class_id=instances.category_ids.copy(),
        tracker_id=None if track_ids is None else as_vector("track_ids", as_array(track_ids), len(instances)).copy(),
        data={"class_name": np.array(names, dtype=str), **since},
    )
