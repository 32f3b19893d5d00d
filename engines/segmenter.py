"""The protocol of every engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances

if TYPE_CHECKING:
    from roadmask.engines.networks.weights import Weights

Image = NDArray[np.uint8]
"""(H, W, 3) RGB image."""
Precision = Literal["auto", "bf16", "fp16", "fp32", "int8"]
"""Arithmetic of a network: `auto` is bf16 if the processor multiplies it in hardware, else fp32; fp16 is for GPUs."""


@dataclass(frozen=True)
class SegmenterInfo:
    """What a segmenter is made of; written into every store."""

    engine: str
    """Name of the engine, such as openvino."""
    weights: str
    """Name of the weights: lite, resnet50, resnet50_v2, or the name of their file."""
    weights_sha256: str
    """SHA-256 of the weights file in hexadecimal; empty for a scripted segmenter."""
    precision: str
    """Arithmetic of the network: fp32, bf16, ..."""
    class_names: dict[int, str]
    """Category id -> name of each class that the segmenter reports."""
    score_min: float
    """Minimum score of the instances that the segmenter reports."""

    @classmethod
    def of(
        cls, engine: str, weights: Weights, precision: str, category_ids: Iterable[int], score_min: float
    ) -> SegmenterInfo:
        """Describes an engine that runs a weights file."""
        names = {category: weights.class_names[category] for category in category_ids}
        return cls(engine, weights.name, weights.sha256, precision, names, score_min)


@runtime_checkable
class Segmenter(Protocol):
    """Finds instances in images.

    The result for an image does not depend on the other images of its batch. (On a GPU in reduced precision, the size
    of the batch affects the last digits.) A segmenter is not thread-safe: only one caller may use it at a time.
    """

    @property
    def info(self) -> SegmenterInfo:
        """What the segmenter is made of."""
        ...

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Compiles and runs everything that images of this (height, width) need, so that the first one is not late."""
        ...

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch.

        Args:
            images: uint8 (H, W, 3) RGB images, whose sizes may differ.

        Returns:
            The instances of each image, in pixels of that image, best score first.

        Raises:
            InstancesError: an image has another type or shape.
            EngineError: the engine failed.
        """
        ...
