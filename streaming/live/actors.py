"""The actors of a live run: thin shells around the segmenter and a recorder, without logic of their own.

Each is empty until it is opened, and says so: `NotOpenError` tells the coordinator that it met a successor too early.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from roadmask.engines import Instances, Segmenter, SegmenterInfo
from roadmask.engines.segmenter import Image
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.restart import StandbyPool
from roadmask.streaming.ray_actors import Actor, NotOpenError

if TYPE_CHECKING:
    from roadmask.streaming.live.batching import EngineNote, LiveBatcher
    from roadmask.streaming.live.recorder import LiveRecorder, RecorderAnswer
    from roadmask.streaming.live.settings import RecorderSettings
    from roadmask.streaming.segmentation import Segmentation

T = TypeVar("T")
_USUAL_SIZE = (1080, 1920)
"""Image size whose graph is compiled before the first image: cameras differ, but most are as wide as this."""
_TRIALS = 3


class LiveActors:
    """The pools that the actors of a run come from. A context manager; leaving it ends those that stand by."""

    def __init__(self) -> None:
        self.segmenters = StandbyPool(SegmenterActor)
        self.recorders = StandbyPool(RecorderActor)

    def start(self, cameras: int) -> None:
        """Starts all that a run needs at the same time: importing takes them seconds."""
        self.segmenters.start(1)
        self.recorders.start(cameras)

    def refill(self) -> None:
        """Starts a standby actor of each kind soon."""
        self.segmenters.refill()
        self.recorders.refill()

    def __enter__(self) -> LiveActors:
        return self

    def __exit__(self, *_: object) -> None:
        self.segmenters.close()
        self.recorders.close()


class SegmenterActor(Actor):
    """Segments the frames of all cameras in batches."""

    def __init__(self, cwd: str) -> None:
        super().__init__(cwd)
        import roadmask.streaming.live.batching  # noqa: F401, PLC0415 - an actor that stands by has it loaded

        self._batcher: LiveBatcher | None = None
        self._level = 0

    async def open(
        self, builds: Sequence[Callable[[], Segmenter]], cameras: int, budget_ms: float | None, level: int
    ) -> tuple[SegmenterInfo, int, list[float]]:
        """Builds the engine, once for each network input size.

        Args:
            builds: build a segmenter of each size, from the largest to the smallest.
            cameras: number of cameras.
            budget_ms: latency budget in milliseconds; follows the engine if None.
            level: position in `builds` of the size to begin with.

        Returns:
            The engine's description, the id of this process, and milliseconds per image at each size.
        """
        from roadmask.streaming.live.batching import LiveBatcher  # noqa: PLC0415 - only the segmenter needs it
        from roadmask.streaming.segmentation import segment_each  # noqa: PLC0415

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
        """Goes on with another network input size."""
        batcher = _opened(self._batcher)
        self._level = level
        batcher.forget_speed()

    async def segment(self, frame: Frame, captured_ns: int) -> tuple[EngineNote, Segmentation | None]:
        """Returns what became of a frame and, apart from that, what is in it."""
        return await _opened(self._batcher)(frame.camera, frame.image, captured_ns)


class RecorderActor(Actor):
    """Tracks, draws and stores one camera."""

    def __init__(self, cwd: str) -> None:
        super().__init__(cwd)
        import roadmask.streaming.live.recorder  # noqa: F401, PLC0415 - an actor that stands by has it loaded

        self._recorder: LiveRecorder | None = None

    def open(self, camera: str, settings: RecorderSettings) -> tuple[int, int]:
        """Begins the camera or continues it; returns the frames that are in the store, and the id of this process."""
        self._recorder = settings.recorder(camera)
        return self._recorder.committed, os.getpid()

    def push(self, frame: Frame, found: Instances, ledger: Ledger, show: bool) -> RecorderAnswer:
        """Takes the next frame."""
        return _opened(self._recorder).push(frame, found, ledger, show=show)

    def tick(self, ledger: Ledger) -> RecorderAnswer:
        """Commits what is due."""
        return _opened(self._recorder).tick(ledger)

    def finish(self) -> RecorderAnswer:
        """Decides the frames that wait."""
        return _opened(self._recorder).finish()

    def close(self, ledger: Ledger) -> None:
        """Closes the camera's sinks."""
        _opened(self._recorder).close(ledger)

    def abort(self) -> None:
        """Commits what it can."""
        if self._recorder is not None:
            self._recorder.abort()


def _opened(part: T | None) -> T:
    if part is None:
        raise NotOpenError("this process is empty: open it first.")
    return part


def _cost_ms(segmenter: Segmenter) -> float:
    """Returns what an image takes, median of some trials, milliseconds."""
    black = np.zeros((*_USUAL_SIZE, 3), np.uint8)
    took = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        segmenter([black])
        took.append((time.perf_counter() - started) * 1e3)
    return median(took)
