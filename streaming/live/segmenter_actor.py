"""The process that segments the frames of all live cameras: a thin shell.

It is empty until it is opened, and says so. Opening it builds the engine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.segmenter import Image
from roadmask.streaming.frames import Frame
from roadmask.streaming.live.batching import EngineNote, LiveBatcher
from roadmask.streaming.ray_actors import Actor, NotOpenError
from roadmask.streaming.segmentation import Segmentation, segment_each

_USUAL_SIZE = (1080, 1920)
"""Cameras differ in size, but most are as wide as this one, and their graph is compiled before the first image."""
_TRIALS = 3


class SegmenterActor(Actor):
    """Batches the frames of all cameras."""

    _batcher: LiveBatcher | None = None
    _level = 0

    async def open(
        self, builds: Sequence[Callable[[], Segmenter]], cameras: int, budget_ms: float | None, level: int
    ) -> tuple[SegmenterInfo, int, list[float]]:
        """Builds the engine, once for each size of the network's input.

        Returns:
            What it is, the process's id, and milliseconds for an image at each size.
        """
        segmenters = [build() for build in builds]
        for segmenter in segmenters:
            segmenter.warm_up(_USUAL_SIZE)
        self._level = level

        def segment(images: Sequence[Image]) -> list[Segmentation]:
            return segment_each(segmenters[self._level], images)

        def warm_up(image_size: tuple[int, int]) -> None:
            for segmenter in segmenters:  # all of them, so that a change of size costs nothing
                segmenter.warm_up(image_size)

        self._batcher = LiveBatcher(segment, warm_up, cameras, budget_ms)
        costs_ms = [_cost_ms(segmenter) for segmenter in segmenters] if len(segmenters) > 1 else [1.0]
        return segmenters[0].info, os.getpid(), costs_ms

    async def use(self, level: int) -> None:
        """Goes on with another size."""
        batcher = self._open()
        self._level = level
        batcher.forget_speed()

    async def segment(self, frame: Frame, taken_ns: int) -> tuple[EngineNote, Segmentation | None]:
        """Returns what is in a frame, apart from what became of it."""
        return await self._open()(frame.camera, frame.image, taken_ns)

    def _open(self) -> LiveBatcher:
        if self._batcher is None:
            raise NotOpenError("this process is empty: open it first.")
        return self._batcher


def _cost_ms(segmenter: Segmenter) -> float:
    black = np.zeros((*_USUAL_SIZE, 3), np.uint8)
    took = []
    for _ in range(_TRIALS):
        begun = time.perf_counter()
        segmenter([black])
        took.append((time.perf_counter() - begun) * 1e3)
    return median(took)
