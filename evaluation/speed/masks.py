"""Speed from the network's mask grids to run lengths of the image, against torchvision and pycocotools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torchvision.models.detection.roi_heads import paste_masks_in_image

from roadmask.engines.masks import MASK_SIDE, MASK_THRESHOLD, BoxMasks
from roadmask.evaluation.speed.timing import interleaved_ms, median

SIZE_SETS = ((20, 60), (40, 200), (200, 900))
"""Shortest and longest side of the boxes of each set, in pixels."""
IMAGE_SIZE = (1080, 1920)
INSTANCES = 50
_REFERENCE_ROUNDS = 5
_OURS_PER_ROUND = 10
"""The reference is so slow that ours runs several times for each of its runs."""


def benchmark_masks(
    size_sets: Iterable[tuple[int, int]] = SIZE_SETS,
    *,
    instances: int = INSTANCES,
    image_size: tuple[int, int] = IMAGE_SIZE,
    rounds: int = _REFERENCE_ROUNDS,
) -> list[dict[str, Any]]:
    """Pastes and encodes the same masks both ways, interleaved, and compares each pixel.

    Args:
        size_sets: shortest and longest side of boxes, a record each.
        instances: masks of the image.
        image_size: height and width of the image.
        rounds: of the reference; its median is of as many.

    Returns:
        Records of size_set, instances, shape, ms_ours, ms_reference, ratio, pixel_error (share of the image's
        pixels, of all masks, that differ), ms_iou (of all pairs with as many masks nearby) and iou_error
        (largest difference from that of the reference's masks).
    """
    return [_benchmark(size_set, instances, image_size, rounds) for size_set in size_sets]


def _benchmark(size_set: tuple[int, int], instances: int, image_size: tuple[int, int], rounds: int) -> dict[str, Any]:
    probabilities, boxes = sample_masks(size_set, instances, image_size)
    moved = boxes * np.float32(0.98)  # towards the corner of the image, so that none leaves it

    def ours() -> BoxMasks:
        masks = BoxMasks(probabilities, boxes, image_size)
        masks.to_rle()
        return masks

    def reference(at: NDArray[np.float32] = boxes) -> list[dict[str, Any]]:
        return _paste_and_encode(probabilities, at, image_size)

    ours()
    times = interleaved_ms([*[ours] * _OURS_PER_ROUND, reference], rounds)
    ms_ours, ms_reference = median(np.ravel(times[:-1]).tolist()), median(times[-1])

    masks, near = ours(), BoxMasks(probabilities, moved, image_size)
    near.to_rle()
    [iou_times] = interleaved_ms([lambda: masks.iou(near)], rounds * _OURS_PER_ROUND)
    expected = reference()
    expected_iou = coco_mask.iou(expected, reference(moved), [False] * instances)
    return {
        "size_set": f"{size_set[0]}-{size_set[1]}",
        "instances": instances,
        "shape": f"{image_size[0]}x{image_size[1]}",
        "ms_ours": ms_ours,
        "ms_reference": ms_reference,
        "ratio": round(ms_reference / ms_ours, 1),
        "pixel_error": _differing_pixels(masks, expected) / (instances * image_size[0] * image_size[1]),
        "ms_iou": median(iou_times),
        "iou_error": float(np.abs(masks.iou(near) - expected_iou).max()),
    }


def sample_masks(
    size_set: tuple[int, int], count: int, image_size: tuple[int, int], seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns (N, 28, 28) probabilities of bumpy blobs and their (N, 4) boxes.

    The boxes' centres are anywhere in the image, so that its border cuts some.
    """
    rng = np.random.default_rng(seed)
    sides = rng.uniform(*size_set, (count, 2))
    centres = rng.uniform(0, 1, (count, 2)) * image_size[::-1]
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)
    steps = np.linspace(-1, 1, MASK_SIDE)
    radius = np.hypot(steps[:, None], steps[None, :])
    bumps = [
        cv2.resize(rng.normal(0, 0.2, (5, 5)), (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_CUBIC)
        for _ in range(count)
    ]
    probabilities = 1 / (1 + np.exp(-8 * (0.75 - radius + np.stack(bumps))))
    return probabilities.astype(np.float32), boxes


def _paste_and_encode(
    probabilities: NDArray[np.float32], boxes: NDArray[np.float32], image_size: tuple[int, int]
) -> list[dict[str, Any]]:
    pasted = paste_masks_in_image(torch.from_numpy(probabilities)[:, None], torch.from_numpy(boxes), image_size)
    inside = (pasted[:, 0] >= MASK_THRESHOLD).permute(1, 2, 0).numpy()
    encoded: list[dict[str, Any]] = coco_mask.encode(np.asfortranarray(inside.view(np.uint8)))
    return encoded


def _differing_pixels(masks: BoxMasks, expected: list[dict[str, Any]]) -> int:
    decoded = (coco_mask.decode([each])[..., 0] != 0 for each in expected)
    return sum(int((ours != theirs).sum()) for ours, theirs in zip(masks.to_rle().dense(), decoded, strict=True))
