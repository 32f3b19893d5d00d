"""Masks made up for tests."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.masks import MASK_SIDE, BoxMasks, RleMasks

SIZE = (60, 90)
RNG_SEED = 7
BOXES = {
    "in the middle": (20.3, 10.7, 61.2, 44.9),
    "whole pixels": (20, 10, 60, 45),
    "at the upper left corner": (0, 0, 30, 20),
    "at the lower right corner": (60, 40, 90, 60),
    "half outside on the left": (-25.5, 10, 25.5, 40),
    "half outside below": (20, 40.2, 50, 90.7),
    "larger than the image": (-40, -30, 200, 130),
    "smaller than its grid": (40.4, 20.6, 49.5, 27.1),
    "smaller than a pixel": (40.2, 20.2, 40.6, 20.7),
    "without area": (40, 20, 40, 20),
    "without width": (40, 20, 40, 50),
    "tall and thin": (44.2, -100, 46.1, 300),
    "wide and flat": (-500, 29.5, 700, 31),
    "touching the image with its border cell only": (-30, 10, -0.4, 40),
}


def blobs(count: int, seed: int = RNG_SEED) -> NDArray[np.float32]:
    """Smooth probabilities that cross the threshold in several places, up to the very edge of the grid."""
    rng = np.random.default_rng(seed)
    coarse = [cv2.resize(rng.random((5, 5), np.float32), (MASK_SIDE, MASK_SIDE)) for _ in range(count)]
    return np.stack(coarse).astype(np.float32).clip(0, 1)


def dense(masks: RleMasks | BoxMasks) -> NDArray[np.bool_]:
    images = list(masks.to_rle().dense())
    return np.stack(images) if images else np.zeros((0, *masks.image_size), np.bool_)


def coco_encoded(images: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """What pycocotools makes of the same pixels."""
    columns = np.asfortranarray(np.moveaxis(images, 0, -1).astype(np.uint8))
    return tuple(rle["counts"] for rle in coco_mask.encode(columns))


def random_images(count: int, size: tuple[int, int], seed: int = RNG_SEED) -> NDArray[np.bool_]:
    """Noise of every density, from empty to full."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, count)[:, None, None]
    return rng.random((count, *size)) < share
