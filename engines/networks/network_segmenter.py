"""The base of engines that run a network: classes to report, batches by image size, and instances from its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.images import checked_image
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import BoxMasks
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image, SegmenterInfo


class NetworkSegmenter(ABC):
    """A `Segmenter` of some weights.

    Args:
        engine: its name.
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        precision: arithmetic of the networks.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input; chosen by each image's aspect by default.
    """

    def __init__(
        self,
        engine: str,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        precision: str,
        score_min: float,
        input_size: tuple[int, int] | None,
    ) -> None:
        self._weights, self._input_size, self._score_min = weights, input_size, score_min
        self._categories = np.array(weights.category_ids, np.int64)
        self._classes = np.isin(self._categories, category_ids).astype(np.float32)
        self._info = SegmenterInfo.of(engine, weights, precision, category_ids, score_min)

    @property
    def info(self) -> SegmenterInfo:
        """Engine, weights and precision."""
        return self._info

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Prepares what images of this (H, W) need, and runs the network once on a black one."""
        self([np.zeros((*image_size, 3), np.uint8)])

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch; see `Segmenter`."""
        checked = [checked_image(image) for image in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(checked):
            by_size.setdefault((image.shape[0], image.shape[1]), []).append(place)
        results: dict[int, Instances] = {}
        for size, places in by_size.items():
            found = self._segment([checked[place] for place in places], self._letterbox(size))
            results |= dict(zip(places, found, strict=True))
        return [results[place] for place in range(len(checked))]

    def _letterbox(self, size: tuple[int, int]) -> Letterbox:
        return Letterbox.fit(size, self._input_size)

    @abstractmethod
    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        """Segments images of one size."""

    def _instances(
        self,
        letterbox: Letterbox,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        labels: NDArray[np.integer],
        masks: NDArray[np.float32],
    ) -> Instances:
        """Returns the instances of an image, in its own pixels.

        Args:
            letterbox: how the image lay in the network's input.
            boxes: (N, 4) x1, y1, x2, y2 in pixels of the network's input.
            scores: (N,), best first.
            labels: (N,) the model's own labels.
            masks: (N, 28, 28) probabilities. The instances keep these arrays: they must not be a buffer of the engine.
        """
        boxes, size = letterbox.undo(boxes), letterbox.image_size
        return Instances(size, boxes, scores, self._categories[labels], BoxMasks(masks, boxes, size))
