"""Dense motion between two images, at a size that costs little: DIS optical flow (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError

Floats = NDArray[np.float32]

FLOW_WIDTH = 320
"""Maximum width in pixels of the images between which the flow is computed."""
CONTRAST_MIN = 3.0
"""Minimum standard deviation of grey levels: in a darker or foggier image there is nothing to follow."""
RESIDUAL_MAX = 0.35
"""Maximum share of pixels that the flow does not explain; beyond it the images show different scenes."""
RESIDUAL_LEVELS = 24
"""Difference in grey levels at which a pixel is not explained, after the difference in brightness is removed."""
BRIGHTNESS_MAX = 60.0
"""Maximum change in mean grey level; beyond it the image flashed or went dark."""


@dataclass(frozen=True, eq=False)
class FlowImage:
    """The part of an image that is needed to compute flow."""

    grey: NDArray[np.uint8]
    """(h, w) grey image, at most `FLOW_WIDTH` wide."""
    image_size: tuple[int, int]
    """Height and width of the original image in pixels."""

    @classmethod
    def of(cls, image: NDArray[np.uint8], width: int = FLOW_WIDTH) -> FlowImage:
        """Makes a small grey image.

        Args:
            image: (H, W, 3) uint8 RGB image.
            width: maximum width of the small image in pixels.

        Raises:
            InputError: the image has another shape or type.
        """
        import cv2  # noqa: PLC0415 - slow to import, and needed only with images

        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"expected an image as uint8 (H, W, 3), got {image.dtype} {image.shape}.")
        full_height, full_width = image.shape[:2]
        small = (min(width, full_width), max(1, round(full_height * min(1.0, width / full_width))))
        # The green channel is close to brightness and costs a third.
        grey: Any = cv2.resize(cv2.extractChannel(image, 1), small, interpolation=cv2.INTER_AREA)
        return cls(grey, (full_height, full_width))


@dataclass(frozen=True, eq=False)
class Flow:
    """How the pixels of one image moved to the next."""

    vectors: Floats
    """(h, w, 2) x, y in pixels of the small images."""
    image_size: tuple[int, int]
    """Height and width of the original images in pixels."""
    before: NDArray[np.uint8]
    """(h, w) grey image that the flow starts from."""
    after: NDArray[np.uint8]
    """(h, w) grey image that the flow leads to."""
    brighter: float
    """By how many grey levels the whole image became brighter."""

    @property
    def scale(self) -> Floats:
        """(2,) factors x, y from original to small pixels."""
        height, width = self.image_size
        small_height, small_width = self.vectors.shape[:2]
        return np.array([small_width / width, small_height / height], np.float32)

    def explained(self, x: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Says which pixels have the grey level that is found where the flow leads; not those that leave the image.

        Args:
            x: columns of the small image, of any shape.
            y: rows, of the same shape.
        """
        height, width = self.before.shape
        moved = np.rint(self.vectors[y, x]).astype(np.int64)
        to_x, to_y = x + moved[..., 0], y + moved[..., 1]
        inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
        found = self.after[np.clip(to_y, 0, height - 1), np.clip(to_x, 0, width - 1)].astype(np.float32)
        explained: NDArray[np.bool_] = inside & (np.abs(found - self.before[y, x] - self.brighter) <= RESIDUAL_LEVELS)
        return explained


class FlowEstimator:
    """Computes flow between images of one size; it keeps the buffers of DIS, so each thread needs its own."""

    def __init__(self) -> None:
        import cv2  # noqa: PLC0415 - as above

        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # Half of the small image's resolution instead of a quarter: pedestrians are few pixels wide.
        self._dis.setFinestScale(1)

    def __call__(self, before: FlowImage, after: FlowImage) -> Flow | None:
        """Returns the flow from one image to the other; None where nothing can be followed.

        That is so if the sizes differ, an image is dark or featureless, the brightness jumps, or the scene changes.
        """
        if before.grey.shape != after.grey.shape or before.image_size != after.image_size:
            return None
        means, deviations = zip(*(_statistics(each.grey) for each in (before, after)), strict=True)
        if min(deviations) < CONTRAST_MIN or abs(means[1] - means[0]) > BRIGHTNESS_MAX:
            return None
        vectors: Any = self._dis.calc(before.grey, after.grey, None)
        flow = Flow(vectors, before.image_size, before.grey, after.grey, means[1] - means[0])
        return flow if _unexplained(flow) <= RESIDUAL_MAX else None


def _statistics(grey: NDArray[np.uint8]) -> tuple[float, float]:
    import cv2  # noqa: PLC0415 - as above

    mean, deviation = cv2.meanStdDev(grey)
    return float(mean[0, 0]), float(deviation[0, 0])


def _unexplained(flow: Flow) -> float:
    """Returns the share of sampled pixels whose grey level is not found where the flow leads."""
    height, width = flow.before.shape
    y, x = np.mgrid[2:height:5, 2:width:5]
    return float(1 - flow.explained(x, y).mean())
