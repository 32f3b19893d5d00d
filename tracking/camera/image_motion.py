"""Estimates from two images how camera motion moved the background.

Corners of the background are tracked from one small grey image to the next (pyramidal Lucas-Kanade, Bouguet 2000).
They start from the shift of the whole image by phase correlation, so that a jolt of a tenth of the width is found as
well. A shift, rotation and scale is fitted to them by iteratively reweighted least squares (Geman-McClure weights, the
closed form of Umeyama 1991). Nothing is random: the same images give the same result on one type of processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.tracking.iou.motion import Floats

WIDTH = 320
"""Maximum width of the small image in pixels; its precision is sufficient for boxes."""
POINTS_MAX = 120
"""Maximum number of corners."""
POINTS_MIN = 12
"""Minimum number of corners for a reliable fit."""
POINT_QUALITY, POINT_DISTANCE = 0.01, 8
"""Minimum quality of a corner relative to the best one (Shi and Tomasi 1994), and minimum distance of two in pixels."""
WINDOW = (15, 15)
"""Window of Lucas-Kanade in pixels of the small image."""
LEVELS = 3
"""Number of pyramid levels above the small image."""
TOLERANCES = (8.0, 4.0, 2.0, 1.0, 1.0, 1.0)
"""Error in pixels of the small image at which a corner loses most of its weight, iteration by iteration."""
INLIER_PX = 2.0
"""Maximum error of an inlier in pixels of the small image."""
INLIERS_MIN = 0.4
"""Minimum share of inliers among the corners."""
SHIFT_MAX = 0.3
"""Maximum shift of the image as a share of its width."""
SCALE_MAX = 1.25
"""Maximum scale factor, in either direction."""
TURN_MAX = np.deg2rad(15)
"""Maximum rotation. Anything beyond these limits is a cut, a blackout or a car that fills the image."""


@dataclass(frozen=True, eq=False)
class SmallImage:
    """The part of an image that is needed to estimate motion."""

    grey: NDArray[np.uint8]
    """(h, w) grey image, at most `WIDTH` wide."""
    image_size: tuple[int, int]
    """Height and width of the original image in pixels."""
    moving: NDArray[np.float32]
    """(N, 4) boxes of instances, which may move by themselves and are ignored: x1, y1, x2, y2 in original pixels."""

    @classmethod
    def of(cls, image: NDArray[np.uint8], moving: NDArray[np.float32]) -> SmallImage:
        """Makes a small image.

        Args:
            image: (H, W, 3) uint8 RGB image.
            moving: (N, 4) boxes of its instances.

        Raises:
            InputError: the image has another shape or type.
        """
        import cv2  # noqa: PLC0415 - slow to import, and needed only with images

        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"expected an image as uint8 (H, W, 3), got {image.dtype} {image.shape}.")
        height, width = image.shape[:2]
        small = (min(WIDTH, width), max(1, round(height * min(1.0, WIDTH / width))))
        # The green channel is close to brightness and costs a third.
        grey: Any = cv2.resize(cv2.extractChannel(image, 1), small, interpolation=cv2.INTER_AREA)
        return cls(grey, (height, width), moving)

    def background(self) -> NDArray[np.uint8]:
        """Returns an (h, w) mask: 255 outside the boxes of instances, else 0."""
        height, width = self.grey.shape
        mask = np.full((height, width), 255, np.uint8)
        scale = np.array([width / self.image_size[1], height / self.image_size[0]] * 2)
        grown = np.rint(self.moving * scale) + np.array([-1, -1, 1, 1])
        low_high = np.clip(grown, 0, [width, height] * 2)
        for x1, y1, x2, y2 in low_high.astype(int).tolist():
            mask[y1:y2, x1:x2] = 0
        return mask

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the small image as named arrays of numbers."""
        return {"grey": self.grey, "image_size": np.array(self.image_size, np.int64), "moving": self.moving}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> SmallImage:
        """Returns the small image that `to_arrays` was called on.

        Raises:
            InputError: the arrays are not those of a small image.
        """
        grey, size, moving = (arrays.get(name) for name in ("grey", "image_size", "moving"))
        if (
            grey is None or grey.ndim != 2 or grey.dtype != np.uint8
            or size is None or size.shape != (2,) or size.dtype != np.int64
            or moving is None or moving.shape[1:] != (4,) or moving.dtype != np.float32
        ):  # fmt: skip
            raise InputError(
                f"expected grey, image_size and moving of an image, got the arrays {', '.join(sorted(arrays))}."
            )
        height, width = size.tolist()
        return cls(np.array(grey, np.uint8), (height, width), np.array(moving, np.float32))


def image_motion(before: SmallImage, now: SmallImage) -> Floats | None:
    """Estimates how the background moved between two images of one size.

    Returns:
        (3, 3) similarity from pixels of the previous image to pixels of this one; None if there are too few corners, or
        no single motion that most of them follow.
    """
    import cv2  # noqa: PLC0415 - as above

    if before.grey.shape != now.grey.shape or before.image_size != now.image_size:
        return None
    corners = cv2.goodFeaturesToTrack(before.grey, POINTS_MAX, POINT_QUALITY, POINT_DISTANCE, mask=before.background())
    if corners is None or len(corners) < POINTS_MIN:
        return None
    window = cv2.createHanningWindow(before.grey.shape[::-1], cv2.CV_32F)
    jump, _ = cv2.phaseCorrelate(before.grey.astype(np.float32), now.grey.astype(np.float32), window)
    guess = corners + np.array(jump, np.float32)
    found, kept, _ = cv2.calcOpticalFlowPyrLK(
        before.grey, now.grey, corners, guess, winSize=WINDOW, maxLevel=LEVELS, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    kept = kept[:, 0] == 1
    if kept.sum() < POINTS_MIN:
        return None
    fitted = fit_similarity(corners[kept, 0].astype(np.float64), found[kept, 0].astype(np.float64))
    if fitted is None:
        return None
    scale = np.diag([before.image_size[1] / before.grey.shape[1], before.image_size[0] / before.grey.shape[0], 1.0])
    warp: Floats = scale @ fitted @ np.linalg.inv(scale)
    return warp


def fit_similarity(points: Floats, later: Floats) -> Floats | None:
    """Fits a shift, rotation and scale that most points follow.

    Args:
        points: (N, 2) x, y in pixels of the small image.
        later: (N, 2) x, y of the same points in the next small image.

    Returns:
        (3, 3) similarity; None if too few points follow it, or it exceeds what a camera does between two frames.
    """
    warp = np.eye(3)
    warp[:2, 2] = np.median(later - points, axis=0)
    for tolerance in TOLERANCES:
        weights = (1 + (_error(warp, points, later) / tolerance) ** 2) ** -2
        total = weights.sum()
        centre = (weights[:, None] * points).sum(axis=0) / total
        later_centre = (weights[:, None] * later).sum(axis=0) / total
        (x, y), (u, v) = (points - centre).T, (later - later_centre).T
        spread = (weights * (x**2 + y**2)).sum()
        if spread < 1:
            return None
        cosine, sine = (weights * (x * u + y * v)).sum() / spread, (weights * (x * v - y * u)).sum() / spread
        warp[:2, :2] = [[cosine, -sine], [sine, cosine]]
        warp[:2, 2] = later_centre - warp[:2, :2] @ centre
    scale, turn = np.hypot(cosine, sine), np.arctan2(sine, cosine)
    shift = np.hypot(*(later_centre - centre))
    believable = (
        (_error(warp, points, later) < INLIER_PX).mean() >= INLIERS_MIN
        and 1 / SCALE_MAX <= scale <= SCALE_MAX
        and abs(turn) <= TURN_MAX
        and shift <= SHIFT_MAX * WIDTH
    )
    return warp if believable else None


def _error(warp: Floats, points: Floats, later: Floats) -> Floats:
    missed = points @ warp[:2, :2].T + warp[:2, 2] - later
    distance: Floats = np.hypot(missed[:, 0], missed[:, 1])
    return distance
