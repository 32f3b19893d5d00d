"""What a step sees of an image: a crop at some scale, perhaps mirrored, in other colours, with rare objects pasted in.

Large-scale jitter and copy-paste follow Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation (2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.segmenter import Image
from roadmask.training.samples import MIN_SIDE_PX, TrainingImage

MIN_VISIBLE_PX = 12
"""Objects of which a crop shows fewer pixels are ignored, like crowds."""
MIN_VISIBLE_SHARE = 0.15
"""Objects of which a crop or a pasted object leaves a smaller share are ignored, like crowds."""


@dataclass(frozen=True, eq=False)
class View:
    """What a step sees: an image of the network's input size, and the objects in it."""

    image: Image
    """uint8 (H, W, 3) RGB."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids."""
    boxes: NDArray[np.float32]
    """(N, 4) x1, y1, x2, y2 in pixels of the view."""
    masks: NDArray[np.bool_]
    """(N, H, W) of the parts that show; no two overlap where one was pasted."""
    weights: NDArray[np.float32]
    """(N,) how far each label is trusted, 0 to 1."""
    ignored: NDArray[np.bool_]
    """(H, W) where what is found is neither right nor wrong."""


@dataclass(frozen=True)
class Jitter:
    """How far views differ from their images."""

    scale_min: float = 0.5
    """Smallest scale, against the one at which the whole image fits the view."""
    scale_max: float = 2.0
    """Largest scale, likewise."""
    colour: float = 0.2
    """Largest change of brightness, contrast and saturation, as a share."""
    flip: bool = True
    """Mirror every other view."""


NO_JITTER = Jitter(scale_min=1.0, scale_max=1.0, colour=0.0, flip=False)


def make_view(
    image: TrainingImage, size: tuple[int, int], rng: np.random.Generator, jitter: Jitter, pasted: TrainingImage | None
) -> View:
    """Returns a view of an image.

    Args:
        image: the image.
        size: height and width of the view in pixels; where the image ends, the view is black.
        rng: decides everything that is left to chance.
        jitter: how far the view may differ from the image.
        pasted: an image whose objects are pasted over this one, or None.

    Raises:
        InputError: an image cannot be read.
    """
    view = _placed(image, size, rng, jitter)
    if pasted is not None:
        view = _paste(view, _placed(pasted, size, rng, jitter), rng)
    return View(_recoloured(view.image, rng, jitter.colour), *_visible(view))


@dataclass(frozen=True, eq=False)
class _Placed:
    image: Image
    category_ids: NDArray[np.int64]
    masks: NDArray[np.bool_]
    full_area: NDArray[np.float64]
    weights: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def _placed(source: TrainingImage, size: tuple[int, int], rng: np.random.Generator, jitter: Jitter) -> _Placed:
    """Returns an image at a scale and place that chance decides, with its masks."""
    height, width = size
    fit = min(height / source.size[0], width / source.size[1])
    low, high = np.log(jitter.scale_min), np.log(jitter.scale_max)
    scale = fit * float(np.exp(rng.uniform(low, high))) if high > low else fit * jitter.scale_min
    new_height, new_width = (max(round(side * scale), 1) for side in source.size)
    # an image larger than the view is cropped anywhere, a smaller one lies anywhere in it
    across, down = (rng.random(2) if jitter != NO_JITTER else np.zeros(2)).tolist()
    x, y = round(across * (width - new_width)), round(down * (height - new_height))
    mirrored = jitter.flip and bool(rng.random() < 0.5)
    image = _on_canvas(source.read(), (new_height, new_width), (x, y), size)
    masks = source.masks()
    placed = np.array([_moved(mask, (new_height, new_width), (x, y), size) for mask in masks], np.bool_)
    placed = placed.reshape(-1, height, width)
    if mirrored:
        image, placed = np.ascontiguousarray(image[:, ::-1]), placed[:, :, ::-1]
    objects = source.objects
    crowd = np.array([each.crowd for each in objects], np.bool_)
    ignored = np.asarray(placed[crowd].any(axis=0), np.bool_)
    return _Placed(
        image,
        np.array([each.category_id for each in objects], np.int64),
        placed,
        masks.sum(axis=(1, 2)) * scale**2 if len(masks) else np.zeros(0),
        np.array([each.weight for each in objects], np.float32),
        crowd,
        ignored,
    )


def _on_canvas(image: Image, new_size: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]) -> Image:
    """Returns an image resized to `new_size`, its corner at x, y of a black canvas."""
    smaller = new_size[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, new_size[::-1], interpolation=interpolation), np.uint8)
    canvas = np.zeros((*size, 3), np.uint8)
    x, y = corner
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + new_size[1], size[1]), min(y + new_size[0], size[0])
    canvas[top:bottom, left:right] = resized[top - y : bottom - y, left - x : right - x]
    return canvas


def _moved(
    mask: NDArray[np.bool_], new_size: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Returns where a mask lies on the canvas: as `_on_canvas`, without resizing what the canvas does not show."""
    across, down = new_size[1] / mask.shape[1], new_size[0] / mask.shape[0]
    # OpenCV's resizing maps pixel centres: x' + 0.5 = (x + 0.5) * scale
    matrix = np.array([[across, 0, corner[0] + (across - 1) / 2], [0, down, corner[1] + (down - 1) / 2]])
    soft = cv2.warpAffine(mask.astype(np.float32), matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(soft >= 0.5, np.bool_)


def _paste(below: _Placed, above: _Placed, rng: np.random.Generator) -> _Placed:
    """Returns one image with some objects of another in front."""
    candidates = np.flatnonzero(~above.crowd & (above.masks.sum(axis=(1, 2)) >= MIN_VISIBLE_PX))
    chosen = candidates[rng.random(len(candidates)) < 0.5]
    if not len(chosen):
        return below
    front = np.asarray(above.masks[chosen].any(axis=0), np.bool_)
    # a soft edge, so that the network cannot tell pasted objects by a hard one
    alpha = cv2.GaussianBlur(front.astype(np.float32), (3, 3), 0)[..., None]
    image = np.asarray((above.image * alpha + below.image * (1 - alpha)).round(), np.uint8)
    # the pasted objects hide each other in their order, as in their own image they do not overlap by much
    return _Placed(
        image,
        np.concatenate([below.category_ids, above.category_ids[chosen]]),
        np.concatenate([below.masks & ~front, above.masks[chosen]]),
        np.concatenate([below.full_area, above.full_area[chosen]]),
        np.concatenate([below.weights, above.weights[chosen]]),
        np.concatenate([below.crowd, np.zeros(len(chosen), np.bool_)]),
        below.ignored & ~front,
    )


def _visible(
    placed: _Placed,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]:
    """Returns the objects that show enough to be learnt, and where the others lie."""
    area = placed.masks.sum(axis=(1, 2))
    boxes = np.zeros((len(area), 4), np.float32)
    ignored = placed.ignored.copy()
    keep = np.zeros(len(area), np.bool_)
    for row in np.flatnonzero((area > 0) & ~placed.crowd).tolist():
        columns, rows = np.flatnonzero(placed.masks[row].any(axis=0)), np.flatnonzero(placed.masks[row].any(axis=1))
        boxes[row] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        sides = boxes[row, 2:] - boxes[row, :2]
        shows = area[row] >= max(MIN_VISIBLE_PX, MIN_VISIBLE_SHARE * placed.full_area[row])
        keep[row] = shows and sides.min() >= MIN_SIDE_PX
        if not keep[row]:
            ignored |= placed.masks[row]
    return placed.category_ids[keep], boxes[keep], placed.masks[keep], placed.weights[keep], ignored


def _recoloured(image: Image, rng: np.random.Generator, most: float) -> Image:
    if not most:
        return image
    brightness, contrast, saturation = 1 + rng.uniform(-most, most, 3)
    pixels = image.astype(np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    pixels = grey[..., None] + (pixels - grey[..., None]) * saturation
    pixels = (pixels - grey.mean()) * contrast + grey.mean() * brightness
    return np.asarray(np.clip(pixels.round(), 0, 255), np.uint8)
