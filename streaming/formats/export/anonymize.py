"""Makes road users unrecognisable: averages them over large blocks, so that no pixel can be restored."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image

PRIVATE = (1, 2, 3, 4, 6, 8)
"""COCO category ids that show people or licence plates: pedestrians, cars and all other road users."""
_BLOCKS = 6
"""Number of blocks along the longer side of a box: a face or a licence plate lies within one block."""
_BLOCK_PX = 12
"""Minimum side of a block in pixels."""
_MARGIN = 0.08
"""Margin around each mask as a share of the longer side of its box, because masks end slightly inside objects."""
_MARGIN_PX = 6
"""Minimum margin around each mask in pixels."""


def anonymized(image: Image, instances: Instances, *, whole_boxes: bool = False) -> Image:
    """Returns the image with every detected road user blurred, with or without a track.

    Road users that were not detected stay visible: the recall of the engine is the limit.

    Args:
        image: uint8 (H, W, 3) RGB, not changed.
        instances: instances in the image, with masks.
        whole_boxes: blur boxes with a margin instead of masks with a margin.
    """
    result = image.copy()
    for n in np.flatnonzero(np.isin(instances.category_ids, PRIVATE)).tolist():
        _cover(image, result, instances[[n]], whole_boxes=whole_boxes)
    return result


def _cover(image: Image, result: Image, one: Instances, *, whole_boxes: bool) -> None:
    height, width = one.image_size
    inside = _inside(one, whole_boxes=whole_boxes)
    if not inside.any():
        return
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    side = int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1
    margin = max(_MARGIN_PX, round(_MARGIN * side))
    top, bottom = max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, height)
    left, right = max(int(columns[0]) - margin, 0), min(int(columns[-1]) + 1 + margin, width)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.dilate(inside[top:bottom, left:right], kernel)
    crop = image[top:bottom, left:right]
    block = max(_BLOCK_PX, side // _BLOCKS)
    small = (max((right - left) // block, 1), max((bottom - top) // block, 1))
    averaged = cv2.resize(crop, small, interpolation=cv2.INTER_AREA)
    # Interpolated on the way back up, because hard blocks are conspicuous; this restores nothing.
    smooth = cv2.resize(averaged, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    region = result[top:bottom, left:right]
    region[:] = cv2.copyTo(smooth, grown, region)


def _inside(one: Instances, *, whole_boxes: bool) -> NDArray[np.uint8]:
    inside = np.zeros(one.image_size, np.uint8)
    if whole_boxes or one.masks is None:
        x1, y1, x2, y2 = (max(int(edge), 0) for edge in np.rint(one.boxes[0]))
        inside[y1:y2, x1:x2] = 1
    else:
        crop = one.masks.to_rle().crop(0)
        inside[crop.region] = crop.inside
    return inside
