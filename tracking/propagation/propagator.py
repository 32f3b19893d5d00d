"""Masks at the rate of the images, from detections that come more rarely, later, or both."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.tracking.propagation.flow import FLOW_WIDTH, Flow, FlowEstimator, FlowImage
from roadmask.tracking.propagation.gap import carry_through

CONFIDENCE_MIN = 0.3
"""Minimum share of points that agree with an instance's motion, in every step since it was detected."""
STEPS_MAX = 32
"""Maximum number of images through which a detection is carried: about a second of a camera."""


class MaskPropagator:
    """Carries instances from image to image, and late detections to the image of now.

    It knows no camera, store or engine: images and detections in, instances of the last image out. Nothing is carried
    across a change of scene or image size, a flash, or darkness.

    Example: every third image is detected::

        propagator = MaskPropagator()
        for number, image in enumerate(images):
            detected = segmenter([image])[0] if number % 3 == 0 else None
            instances = propagator.step(image, detected)

    Args:
        confidence_min: minimum share of points, 0 to 1, that agree with an instance's motion for it to be carried on.
        steps_max: maximum number of images through which a detection is carried, and that a detection may be late.
        width: maximum width in pixels of the small images between which motion is measured.
    """

    def __init__(
        self, *, confidence_min: float = CONFIDENCE_MIN, steps_max: int = STEPS_MAX, width: int = FLOW_WIDTH
    ) -> None:
        self._confidence_min, self._width = confidence_min, width
        self._flows: deque[Flow | None] = deque(maxlen=steps_max)
        self._estimate = FlowEstimator()
        self._image: FlowImage | None = None
        self._step = -1
        self._carried: Instances | None = None
        self._detected_at = -1

    @property
    def position(self) -> int:
        """Number of the last image, from 0; -1 before the first."""
        return self._step

    @property
    def steps_since_detection(self) -> int | None:
        """Number of images since the one whose detection is carried: 0 at the detection; None if there is none."""
        return None if self._carried is None else self._step - self._detected_at

    @property
    def nbytes(self) -> int:
        """Memory in bytes that the kept flows and images take, which `steps_max` limits."""
        kept = [flow for flow in self._flows if flow is not None]
        return sum(flow.vectors.nbytes + flow.before.nbytes for flow in kept) + (
            0 if self._image is None else self._image.grey.nbytes
        )

    def reset(self) -> None:
        """Forgets all images and detections, as at the start of an epoch. Positions go on."""
        self._flows.clear()
        self._image = self._carried = None

    def step(
        self, image: NDArray[np.uint8], detected: Instances | None = None, *, position: int | None = None
    ) -> Instances:
        """Returns the instances of the next image.

        Args:
            image: (H, W, 3) uint8 RGB image.
            detected: a detection that has become ready, weak instances left out; None if there is none.
            position: `position` of the image that was detected; None if it is this one.

        Raises:
            InputError: the image has another shape or type, or the position lies in the future.
        """
        small = FlowImage.of(image, self._width)
        if self._image is not None and small.image_size != self._image.image_size:
            self.reset()
        if self._image is not None:
            self._flows.append(self._estimate(self._image, small))
        self._image = small
        self._step += 1
        if self._carried is not None:
            self._carry(self._carried, 1)
        if detected is not None:
            self._take(detected, self._step if position is None else position)
        return Instances.empty(small.image_size) if self._carried is None else self._carried

    def _take(self, detected: Instances, position: int) -> None:
        steps = self._step - position
        if steps < 0:
            raise InputError(
                f"expected the position of an image that was passed to step, at most {self._step}, got {position}."
            )
        older = self._carried is not None and position < self._detected_at
        if not older and steps <= len(self._flows) and detected.image_size == self._image_size:
            self._detected_at = position
            self._carry(detected, steps)

    def _carry(self, instances: Instances, steps: int) -> None:
        """Carries instances through the last flows, and keeps those that can be followed."""
        flows = list(self._flows)[len(self._flows) - steps :]
        if any(flow is None for flow in flows) or self._step - self._detected_at > (self._flows.maxlen or 0):
            self._carried = None
            return
        carried = carry_through(instances, flows)
        self._carried = carried.instances[-1][carried.confidence[-1] >= self._confidence_min]

    @property
    def _image_size(self) -> tuple[int, int] | None:
        return None if self._image is None else self._image.image_size
