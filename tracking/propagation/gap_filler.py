"""Fills the frames between detections of a recorded drive, one frame at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.tracking.propagation.flow import FLOW_WIDTH, Flow, FlowEstimator, FlowImage
from roadmask.tracking.propagation.gap import carry_on, fill_gap

T = TypeVar("T")


class GapFiller(Generic[T]):
    """Delays the frames of a recorded drive until the next detection, and fills those in between from both sides.

    Items keep their order. Between two detections the items and two flows for each image are held in memory: how often
    to detect is the caller's choice, and its limit. Frames that no detection follows are filled from the one before
    them, and those that none precedes from the one after them.

    Push the frames of one epoch at a time, and call `flush` at the end of each.

    Args:
        score_min: minimum score of a strong detection. Weaker instances are not returned: they only confirm what was
            found on the other side of a gap.
        width: maximum width in pixels of the small images between which motion is measured.
    """

    def __init__(self, score_min: float, *, width: int = FLOW_WIDTH) -> None:
        self._score_min, self._width = score_min, width
        self._estimate = FlowEstimator()
        self._begin()

    def _begin(self) -> None:
        self._detected: Instances | None = None
        self._image: FlowImage | None = None
        self._waiting: list[tuple[T, bool]] = []  # with whether the item has an image
        self._times: list[int] = []  # of the last detection and of the images since
        self._forward: list[Flow | None] = []
        self._backward: list[Flow | None] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def push(
        self, item: T, image: NDArray[np.uint8], timestamp_ns: int, detected: Instances | None
    ) -> list[tuple[T, Instances | None]]:
        """Adds the next frame.

        Args:
            item: anything that belongs to the frame and is returned with it.
            image: (H, W, 3) uint8 RGB image; not kept.
            timestamp_ns: capture time in nanoseconds, later than that of the previous frame.
            detected: instances that were detected in the image, weak ones included; None if it was not detected.

        Returns:
            Items whose instances are known now, oldest first, as `flush` returns them.

        Raises:
            InputError: the image has another shape or type.
        """
        small = FlowImage.of(image, self._width)
        if detected is not None and detected.image_size != small.image_size:
            raise InputError(f"expected instances in an image of {small.image_size}, got {detected.image_size}.")
        if self._image is not None and (detected is None or len(self._times) > 1 or self._detected is None):
            self._forward.append(self._estimate(self._image, small))
            self._backward.append(self._estimate(small, self._image))
        self._image = small
        self._times.append(timestamp_ns)
        if detected is None:
            self._waiting.append((item, True))
            return []
        ready = self._released(self._between(detected))
        strong = detected[detected.scores >= self._score_min]
        ready.append((item, replace(strong, since_detected_ns=np.zeros(len(strong), np.int64))))
        self._detected, self._times = detected, [timestamp_ns]
        return ready

    def push_lost(self, item: T) -> list[tuple[T, Instances | None]]:
        """Adds an item without an image in its place; returns what `push` returns."""
        if not self._waiting:
            return [(item, None)]
        self._waiting.append((item, False))
        return []

    def flush(self) -> list[tuple[T, Instances | None]]:
        """Returns all waiting items, oldest first, each with its instances; None for an item without an image.

        The next frame begins anew: nothing is carried to it.
        """
        ready = self._released(self._after())
        self._begin()
        return ready

    def _between(self, detected: Instances) -> list[Instances]:
        """Returns the instances of the waiting images, which `detected` follows."""
        if self._detected is not None:
            if not self._forward:
                return []
            ends = self._detected, detected
            return fill_gap(*ends, self._forward, self._backward, self._times, self._score_min)
        return carry_on(detected, self._backward[::-1], self._times[::-1], self._score_min)[::-1]

    def _after(self) -> list[Instances]:
        """Returns the instances of the waiting images, which no detection follows."""
        if self._detected is not None:
            return carry_on(self._detected, self._forward, self._times, self._score_min)
        if self._image is None:
            return []
        return [Instances.empty(self._image.image_size) for _ in self._times]

    def _released(self, filled: list[Instances]) -> list[tuple[T, Instances | None]]:
        remaining = iter(filled)
        ready = [(item, next(remaining) if has_image else None) for item, has_image in self._waiting]
        self._waiting, self._forward, self._backward = [], [], []
        return ready
