"""Runs cameras on Ray: a reader and a recorder actor for each, one segmenter that batches across them.

The actors hold no logic. Frames travel as references only: the reader puts a frame into the object store once, the
segmenter and the recorder take it from there, and the driver sees none. Ray keeps the order of one reader's calls to
its recorder, so a camera is stored exactly as it is in one process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from roadmask.engines import Segmenter
from roadmask.engines.errors import EngineError, SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.jobs import CameraJob, ProgressCallback, RunResult
from roadmask.streaming.reader import Reader
from roadmask.streaming.recorder import CameraProgress, CameraResult
from roadmask.streaming.runner import build_recorder
from roadmask.streaming.segmentation import Batcher, Segmentation, segment_each
from roadmask.streaming.store import CameraWriter

IN_FLIGHT = 4
"""Frames of one camera between its reader and its recorder, at most."""
POLL_SECONDS = 0.25


class _SegmenterActor:
    """Batches the pictures of all cameras."""

    def __init__(self, build: Callable[[], Segmenter], image_sizes: Sequence[tuple[int, int]]) -> None:
        self._segmenter = build()
        for image_size in dict.fromkeys(image_sizes):
            self._segmenter.warm_up(image_size)
        self._batch = Batcher(lambda images: segment_each(self._segmenter, images), batch_max=len(image_sizes))

    async def ready(self) -> None:
        """Returns once the engine is warm."""

    async def segment(self, frame: Frame) -> Segmentation:
        """Returns what is in a frame."""
        return await self._batch(frame.image)


class _RecorderActor:
    """Follows and stores one camera."""

    def __init__(self, store: Path, job: CameraJob, config: RunConfig, class_names: dict[int, str]) -> None:
        self._recorder = build_recorder(CameraWriter(store, job.camera, config.store), job, config, class_names)

    def push(self, frame: Frame, segmentation: Segmentation) -> None:
        """Takes the next frame."""
        self._recorder.push(frame, segmentation)

    def push_lost(self, lost: LostFrame) -> None:
        """Counts a frame without a picture."""
        self._recorder.push_lost(lost)

    def progress(self) -> CameraProgress:
        """Returns how far the camera has come."""
        return self._recorder.progress

    def close(self, captured: int, problem: str | None) -> CameraResult:
        """Stores what waits; see `Recorder.close`."""
        return self._recorder.close(captured, problem)

    def abort(self) -> None:
        """Lets go of unfinished files."""
        self._recorder.abort()


class _ReaderActor:
    """Reads one camera and sends each frame on its way."""

    def __init__(self, job: CameraJob, frames_max: int | None) -> None:
        self._reader = Reader(job.open(), frames_max)

    def run(self, segmenter: Any, recorder: Any) -> tuple[int, str | None]:
        """Reads to the end; returns the number of captured frames and why the source ended early, if it did."""
        in_flight: deque[Any] = deque()
        problem = None
        with self._reader:
            try:
                for item in self._reader:
                    if isinstance(item, LostFrame):
                        in_flight.append(recorder.push_lost.remote(item))
                    else:
                        frame = ray.put(item)
                        in_flight.append(recorder.push.remote(frame, segmenter.segment.remote(frame)))
                    while len(in_flight) >= IN_FLIGHT:
                        ray.get(in_flight.popleft())
            except SourceError as error:
                problem = str(error)
            ray.get(list(in_flight))
        return self._reader.captured, problem

    def stop(self) -> None:
        """Ends `run` after the frames that were read ahead."""
        self._reader.stop()


def run_on_ray(
    jobs: Sequence[CameraJob],
    config: RunConfig,
    store: Path,
    build: Callable[[], Segmenter],
    class_names: dict[int, str],
    image_sizes: Sequence[tuple[int, int]],
    *,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
) -> RunResult:
    """Runs all cameras on Ray; the stores are the same, byte for byte, as those of `run_in_process`.

    Uses the Ray this process is connected to, or starts one for the run.

    Args:
        jobs: the cameras.
        config: what decides the result.
        store: an open store, made by `MaskStore.create`.
        build: builds the segmenter, in a process of its own.
        class_names: category id -> name of the classes it reports.
        image_sizes: (height, width) of each camera's first picture, to warm the engine up.
        on_progress: called a few times a second.
        stop: set it to end the run early; everything read so far is stored.

    Raises:
        StoreError: the store failed, or frames went missing on the way (LedgerError).
        EngineError: an actor died.
    """
    stop = stop or threading.Event()
    with _ray():
        try:
            return _run(jobs, config, store, build, class_names, image_sizes, on_progress, stop)
        except ray.exceptions.RayActorError as error:
            raise EngineError(f"a process of the run died, what is committed is safe: {error}") from error


def _run(
    jobs: Sequence[CameraJob],
    config: RunConfig,
    store: Path,
    build: Callable[[], Segmenter],
    class_names: dict[int, str],
    image_sizes: Sequence[tuple[int, int]],
    on_progress: ProgressCallback,
    stop: threading.Event,
) -> RunResult:
    # Two threads for a reader, so that `stop` is heard while `run` runs.
    segmenter = _actor(_SegmenterActor).remote(build, list(image_sizes))
    recorders = [_actor(_RecorderActor).remote(store, job, config, class_names) for job in jobs]
    readers = [_actor(_ReaderActor, max_concurrency=2).remote(job, config.max_frames) for job in jobs]
    try:
        ray.get(segmenter.ready.remote())
        runs = [reader.run.remote(segmenter, recorder) for reader, recorder in zip(readers, recorders, strict=True)]
        pending = list(runs)
        told_to_stop = False
        while pending:
            ended, pending = ray.wait(pending, timeout=POLL_SECONDS)
            ray.get(ended)  # a store that failed ends the run now, not when the other cameras are through
            if stop.is_set() and not told_to_stop:
                ray.get([reader.stop.remote() for reader in readers])
                told_to_stop = True
            progress = ray.get([recorder.progress.remote() for recorder in recorders])
            on_progress({job.camera: seen for job, seen in zip(jobs, progress, strict=True)})
        closing = [recorder.close.remote(*ray.get(run)) for recorder, run in zip(recorders, runs, strict=True)]
        return RunResult(ray.get(closing), interrupted=stop.is_set())
    except BaseException:
        ray.wait([recorder.abort.remote() for recorder in recorders], num_returns=len(recorders), timeout=5)
        raise
    finally:
        for actor in (*readers, *recorders, segmenter):
            ray.kill(actor)


def _actor(stage: type[Any], **options: Any) -> Any:
    """Returns what starts a stage in a process of its own.

    It takes no CPU from Ray's budget: readers and recorders mostly wait, and the engine's threads are set explicitly.
    """
    return ray.remote(stage).options(num_cpus=0, **options)


@contextmanager
def _ray() -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, object_store_memory=512 * 2**20)
    try:
        yield
    finally:
        ray.shutdown()
