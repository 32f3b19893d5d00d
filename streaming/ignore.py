"""Regions of the image that never show traffic: the vehicle's own bonnet, a burnt-in clock, a mirror."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Instances, RleMasks
from roadmask.engines.errors import ConfigError
from roadmask.engines.images import decode_image

COVERED = 0.5
"""An instance is ignored if more than this fraction of it lies in the region: one half, so that a car that only touches
the bonnet is kept."""


@dataclass(frozen=True)
class IgnoreRegion:
    """A region of the image whose instances are ignored.

    Args:
        text: the region as for `--ignore`: the path of a mask image, which is white where instances are ignored and is
            stretched over the frames whatever their size; or a polygon `x,y x,y x,y ...` in pixels of the frames.

    Raises:
        ConfigError: the text is neither a readable image nor a polygon of three or more points.
    """

    text: str

    def __post_init__(self) -> None:
        self._drawn((1, 1))  # an invalid region is refused before the run starts

    def describe(self) -> str:
        """Returns the polygon, or the path of the image with the SHA-256 of its present content."""
        path = Path(self.text)
        if not path.is_file():
            return self.text
        return f"{self.text} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def covers(self, instances: Instances) -> NDArray[np.bool_]:
        """Returns (N,) whether more than half of each instance's mask, or box if there are no masks, is inside."""
        drawn = self._drawn(instances.image_size)
        if instances.masks is not None:
            region = RleMasks.from_dense(drawn[None], instances.image_size)
            return instances.masks.to_rle().share_inside(region)[:, 0] > COVERED
        covered = np.zeros(len(instances), np.bool_)
        for row, (x1, y1, x2, y2) in enumerate(np.rint(instances.boxes).astype(int)):
            inside = drawn[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
            covered[row] = inside.size > 0 and inside.mean() > COVERED
        return covered

    def _drawn(self, image_size: tuple[int, int]) -> NDArray[np.bool_]:
        return _draw(self.text, image_size)


@lru_cache(maxsize=16)
def _draw(text: str, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = image_size
    if Path(text).is_file():
        image = _decoded(Path(text))
        if image is None:
            raise ConfigError(
                f"expected a mask image that is white where instances are ignored, got {text}: use a PNG."
            )
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST) > 127
    try:
        points = [tuple(float(value) for value in point.split(",")) for point in text.split()]
    except ValueError:
        points = []
    if len(points) < 3 or any(len(point) != 2 for point in points) or not np.isfinite(points).all():
        raise ConfigError(
            "expected --ignore to be the path of a mask image or a polygon like '0,300 640,300 640,384', "
            f"got {text!r}, which is neither a file nor a list of three or more points."
        )
    drawn = np.zeros(image_size, np.uint8)
    cv2.fillPoly(drawn, [np.rint(points).astype(np.int32)], 1)
    return drawn.astype(bool)


def _decoded(path: Path) -> NDArray[np.uint8] | None:
    try:
        return decode_image(path, cv2.IMREAD_GRAYSCALE)
    except OSError:  # it cannot be read
        return None
