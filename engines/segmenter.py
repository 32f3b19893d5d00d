"""What every engine offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.instances import Instances

if TYPE_CHECKING:
    from roadmask.engines.networks.weights import Weights

Image = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Precision = Literal["auto", "bf16", "fp16", "fp32", "int8"]
"""Arithmetic of a network: `auto` takes bf16 where the processor multiplies it; fp16 is for GPUs."""


@dataclass(frozen=True)
class SegmenterInfo:
    """What made the masks; written into every store."""

    engine: str
    """openvino, torch, scripted, ..."""
    weights: str
    """lite, resnet50, resnet50_v2 or the file's name."""
    weights_sha256: str
    """Hash of the weights file; empty for a scripted segmenter."""
    precision: str
    """Arithmetic of the network: fp32, bf16, ..."""
    class_names: dict[int, str]
    """Category id -> name, of the classes it reports."""
    score_min: float
    """Instances below this score are not reported."""

    @classmethod
    def of(
        cls, engine: str, weights: Weights, precision: str, category_ids: Iterable[int], score_min: float
    ) -> SegmenterInfo:
        """Describes an engine that runs a weights file."""
        names = {category: CLASS_NAMES[category] for category in category_ids}
        return cls(engine, weights.name, weights.sha256, precision, names, score_min)


@runtime_checkable
class Segmenter(Protocol):
    """Finds instances in images.

    The result for an image never depends on what else is in the batch; on a GPU in reduced precision the size of the
    batch moves its last digits. Not thread-safe: one caller at a time.
    """

    @property
    def info(self) -> SegmenterInfo:
        """What it is made of."""
        ...

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Compiles and runs everything that images of this (H, W) need, so that the first real one is not late."""
        ...

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch.

        Args:
            images: uint8 (H, W, 3) RGB each; sizes may differ.

        Returns:
            The instances of each image in its own pixels, best score first.

        Raises:
            InstancesError: an image has another type or shape.
            EngineError: the engine failed.
        """
        ...
