"""The segmenter of a run: built from its configuration, called with batches, not stopped by one bad image."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from roadmask.engines import Instances, Segmenter, load_segmenter
from roadmask.engines.errors import EngineError, InstancesError
from roadmask.engines.segmenter import Image
from roadmask.streaming.config import EngineConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FailedSegmentation:
    """An image that the engine could not segment; the run goes on without it."""

    reason: str
    """The engine's error message."""


Segmentation = Instances | FailedSegmentation


def build_segmenter(config: EngineConfig) -> Segmenter:
    """Returns the segmenter that a configuration asks for.

    Raises:
        WeightsError: the weights cannot be used.
        EngineError: no engine can run them on this machine.
    """
    return load_segmenter(
        config.weights,
        engine=config.engine,
        classes=config.classes,
        score_min=config.score_min,
        input_size=config.input_size,
        threads=config.threads,
        precision=config.precision,
    )


def segment_each(segmenter: Segmenter, images: Sequence[Image]) -> list[Segmentation]:
    """Segments a batch; if that fails, segments each image alone, so that only the bad ones are lost."""
    if not images:
        return []
    try:
        return _checked(segmenter(images), len(images))
    except (EngineError, InstancesError) as error:
        if len(images) == 1:
            _log.warning("the engine failed on an image: %s", error)
            return [FailedSegmentation(str(error))]
    return [segmentation for image in images for segmentation in segment_each(segmenter, [image])]


def _checked(found: Sequence[Instances], expected: int) -> list[Segmentation]:
    if len(found) != expected:
        raise EngineError(f"expected one result for each of {expected} images, got {len(found)}: fix the segmenter.")
    return list(found)


class Batcher:
    """Combines the images that several cameras submit at the same time into one batch.

    The engine runs in a thread of its own; the images that have arrived when it becomes free are the next batch.
    Segmenters promise that an image's result does not depend on its batch, so timing never changes what is stored.

    Args:
        segment: segments a batch and returns one result for each image.
        batch_max: maximum number of images in a batch.
    """

    def __init__(self, segment: Callable[[Sequence[Image]], list[Segmentation]], batch_max: int) -> None:
        self._segment = segment
        self._batch_max = batch_max
        self._waiting: deque[tuple[Image, asyncio.Future[Segmentation]]] = deque()
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, image: Image) -> Segmentation:
        """Returns the result for one image."""
        answer: asyncio.Future[Segmentation] = asyncio.get_running_loop().create_future()
        self._waiting.append((image, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._batch_max, len(self._waiting)))]
            images = [image for image, _ in batch]
            try:
                results = await asyncio.get_running_loop().run_in_executor(self._engine, self._segment, images)
                for (_, answer), result in zip(batch, results, strict=True):
                    answer.set_result(result)
            except Exception as error:  # whatever it is, the callers that wait must receive it
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
