"""An engine of your own: here one that finds red things, so that it needs no network."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

import roadmask
from roadmask.extend import SegmenterInfo, checked_image


class RedThings:
    """Reports every large red region as a car. `segment` is the part that your network replaces."""

    info = SegmenterInfo(
        engine="red-things",
        weights="none",
        weights_sha256="",
        precision="none",
        class_names={roadmask.CAR: "car"},
        score_min=0.5,
    )

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Prepares for images of this (height, width); there is nothing to prepare here."""

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[roadmask.Instances]:
        """Returns the instances of each image, best score first."""
        return [self.segment(checked_image(image)) for image in images]

    def segment(self, image: NDArray[np.uint8]) -> roadmask.Instances:
        """Finds the red regions of one image."""
        height, width = image.shape[:2]
        red, green, blue = (image[..., channel].astype(int) for channel in range(3))
        redness = np.clip(red - np.maximum(green, blue), 0, 100) / 100
        _, labels, stats, _ = cv2.connectedComponentsWithStats((redness > 0.5).astype(np.uint8))
        regions = [n for n in range(1, len(stats)) if stats[n, cv2.CC_STAT_AREA] >= 100]
        regions.sort(key=lambda n: -redness[labels == n].mean())
        left, top, wide, high = stats[regions, :4].astype(np.float32).reshape(-1, 4).T
        return roadmask.Instances(
            image_size=(height, width),
            boxes=np.stack([left, top, left + wide, top + high], axis=1),
            scores=np.array([redness[labels == n].mean() for n in regions], np.float32),
            category_ids=np.full(len(regions), roadmask.CAR, np.int64),
            masks=roadmask.RleMasks.from_dense(labels == np.reshape(regions, (-1, 1, 1)), (height, width)),
        )
