"""Road users made unrecognisable: averaged over large blocks, so that nothing of the pixels is left to restore."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image

PRIVATE = (1, 2, 3, 4, 6, 8)
"""COCO category ids that show people or licence plates: pedestrians, cars and all other road users."""
_BLOCKS = 6
"""Blocks along the longer side of a box: a face or a plate falls into one."""
_BLOCK_PX = 12
"""Smallest block."""
_MARGIN = 0.08
"""Of the box's longer side, around each mask: masks end a little inside what they show."""
_MARGIN_PX = 6


def anonymized(image: Image, instances: Instances, *, whole_boxes: bool = False) -> Image:
    """Returns the image with every road user that was found, tracked or not, averaged away.

    What was not found stays visible: the drive's recall is the limit.

    Args:
        image: uint8 (H, W, 3) RGB, not changed.
        instances: what was found in it, with masks.
        whole_boxes: cover boxes with a margin instead of masks with a margin.
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
    # Smoothed on the way back up: hard blocks draw the eye. What was averaged away does not return.
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
