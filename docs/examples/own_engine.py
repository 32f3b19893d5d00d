"""An engine of your own: here one that finds red things, so that it needs no network."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

import roadmask


class RedThings:
    """Reports every large red region as a car. `segment` is the part that your network replaces."""

    info = roadmask.SegmenterInfo(
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
        return [self.segment(roadmask.checked_image(image)) for image in images]

    def segment(self, image: NDArray[np.uint8]) -> roadmask.Instances:
        """Finds the red regions of one image."""
        red = (image[..., 0] > 150) & (image[..., 1] < 100) & (image[..., 2] < 100)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        large = [n for n in range(1, count) if boxes[n, cv2.CC_STAT_AREA] >= 100]
        x, y, width, height = boxes[large, :4].astype(np.float32).reshape(-1, 4).T
        return roadmask.Instances(
            image_size=image.shape[:2],
            boxes=np.stack([x, y, x + width, y + height], axis=1),
            scores=np.full(len(large), 0.9, np.float32),
            category_ids=np.full(len(large), roadmask.CAR, np.int64),
            masks=roadmask.RleMasks.from_dense(np.array([labels == n for n in large]).reshape(-1, *image.shape[:2])),
        )
