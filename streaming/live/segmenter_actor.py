"""The process that segments the frames of all live cameras: a thin shell.

It is empty until it is opened, and says so. Opening it builds the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.streaming.frames import Frame
from roadmask.streaming.live.batching import EngineNote, LiveBatcher
from roadmask.streaming.ray_actors import Actor, NotOpenError
from roadmask.streaming.segmentation import Segmentation, segment_each

_USUAL_SIZE = (1080, 1920)
"""Cameras differ in size, but most are as wide as this one, and their graph is compiled before the first picture."""


class SegmenterActor(Actor):
    """Batches the frames of all cameras."""

    _batcher: LiveBatcher | None = None

    async def open(
        self, build: Callable[[], Segmenter], cameras: int, budget_ms: float | None
    ) -> tuple[SegmenterInfo, int]:
        """Builds the engine; returns what it is, and the process's id."""
        segmenter = build()
        segmenter.warm_up(_USUAL_SIZE)
        self._batcher = LiveBatcher(
            lambda images: segment_each(segmenter, images), segmenter.warm_up, cameras, budget_ms
        )
        return segmenter.info, os.getpid()

    async def segment(self, frame: Frame, taken_ns: int) -> tuple[EngineNote, Segmentation | None]:
        """Returns what is in a frame, apart from what became of it."""
        return await self._open()(frame.camera, frame.image, taken_ns)

    def _open(self) -> LiveBatcher:
        if self._batcher is None:
            raise NotOpenError("this process is empty: open it first.")
        return self._batcher
