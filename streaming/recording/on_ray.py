"""Records cameras on Ray: a reader and a recorder actor for each camera, one segmenter that batches across them.

The actors hold no logic. Frames travel as references, a few in one message (a frame batch), because a call of an actor
costs more than tracking and storing a frame: the reader puts a frame batch into the object store once, the segmenter
and the recorder take it from there, and the driver sees none. Ray keeps the order of one reader's calls to its
recorder, so each camera is stored exactly as it is in one process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.errors import SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.ray_actors import Actor, LogDrain, own_errors, ray_session, start_actor
from roadmask.streaming.recording.jobs import CameraJob, CameraProbe, ProbedCamera
from roadmask.streaming.recording.reader import Reader
from roadmask.streaming.recording.recorder import Recorder, all_closed, build_recorder
from roadmask.streaming.recording.result import CameraProgress, CameraResult, ProgressCallback, RunResult
from roadmask.streaming.segmentation import Batcher, Segmentation, segment_each

BATCH_FRAMES_MAX = 4
"""Maximum number of frames in one frame batch."""
BATCH_BYTES_FULL = 8 * 2**20
"""Size in bytes from which on a frame batch is sent, even with fewer frames."""
BATCHES_IN_FLIGHT_MAX = 3
"""Maximum number of frame batches of one camera between its reader and its recorder."""
POLL_SECONDS = 0.25
"""Interval at which the driver reports progress and fetches logs."""


class _SegmenterActor(Actor):
    """Batches the images of all cameras."""

    async def open(self, build: Callable[[], Segmenter]) -> SegmenterInfo:
        """Builds the engine; returns what it is made of."""
        self._segmenter = build()
        return self._segmenter.info

    async def warm_up(self, image_sizes: Sequence[tuple[int, int]]) -> None:
        """Prepares the engine for the images of all cameras, given the (height, width) of each."""
        segmenter = self._segmenter
        for image_size in dict.fromkeys(image_sizes):
            segmenter.warm_up(image_size)
        self._batch = Batcher(lambda images: segment_each(segmenter, images), batch_max=len(image_sizes))

    async def segment(self, frames: Sequence[Frame | LostFrame]) -> list[Segmentation]:
        """Returns the segmentation of each frame that has an image, one after the other: batches span cameras."""
        return [await self._batch(item.image) for item in frames if isinstance(item, Frame)]


class _RecorderActor(Actor):
    """Tracks and stores one camera."""

    _recorder: Recorder | None = None

    def open(
        self,
        job: CameraJob,
        probe: CameraProbe,
        config: RunConfig,
        store: Path,
        class_names: Mapping[int, str],
        resume: bool,
    ) -> tuple[int, bool]:
        """Opens the camera's sinks; returns the number of frames accounted for, and whether these are all."""
        self._recorder = build_recorder(job, probe, config, store, class_names, resume=resume)
        point = self._recorder.resume_point
        return point.ledger.accounted, point.finished

    def push(self, frames: Sequence[Frame | LostFrame], segmentations: Sequence[Segmentation]) -> None:
        """Takes the next frames, and the segmentations of those that have an image."""
        remaining = iter(segmentations)
        for item in frames:
            if isinstance(item, Frame):
                self._opened.push(item, next(remaining))
            else:
                self._opened.push_lost(item)

    def progress(self) -> CameraProgress:
        """Returns the progress of the camera."""
        return self._opened.progress

    def close(self, captured: int, problem: str | None, stopped_early: bool) -> CameraResult:
        """Stores what waits; see `Recorder.close` and `Recorder.suspend`."""
        return self._opened.suspend(captured) if stopped_early else self._opened.close(captured, problem)

    def abort(self) -> None:
        """Ends the camera after an error."""
        if self._recorder is not None:
            self._recorder.abort()

    @property
    def _opened(self) -> Recorder:
        assert self._recorder is not None  # noqa: S101 - the driver opens it first
        return self._recorder


class _ReaderActor(Actor):
    """Reads one camera and sends its frames to the segmenter and the recorder."""

    def open(self, job: CameraJob, frames_max: int | None, skip: int) -> None:
        """Opens the source."""
        source = job.open()
        self._reader = Reader(source, frames_max, skip, job.placed(source))

    def run(self, segmenter: Any, recorder: Any) -> tuple[int, str | None, bool]:
        """Reads to the end.

        Returns:
            The number of captured frames, why the source ended early (None if it did not), and whether `stop` ended it.
        """
        in_flight: deque[Any] = deque()
        problem = None
        with self._reader:
            try:
                for batch in _frame_batches(self._reader):
                    frames = ray.put(batch)
                    in_flight.append(recorder.push.remote(frames, segmenter.segment.remote(frames)))
                    while len(in_flight) >= BATCHES_IN_FLIGHT_MAX:
                        ray.get(in_flight.popleft())
            except SourceError as error:
                problem = str(error)
            ray.get(list(in_flight))
        return self._reader.captured, problem, self._reader.stopped_early

    def stop(self) -> None:
        """Ends `run` after the frames that were read ahead."""
        self._reader.stop()


def _frame_batches(items: Iterable[Frame | LostFrame]) -> Iterator[list[Frame | LostFrame]]:
    """Yields frames a few at a time; what came before an error is yielded before it is raised."""
    batch: list[Frame | LostFrame] = []
    size = 0
    try:
        for item in items:
            batch.append(item)
            size += item.image.nbytes if isinstance(item, Frame) else 0
            if len(batch) == BATCH_FRAMES_MAX or size >= BATCH_BYTES_FULL:
                yield batch
                batch, size = [], 0
    except SourceError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


@dataclass(frozen=True)
class RaySegmenter:
    """A segmenter in an actor of its own."""

    actor: Any
    """The handle of the actor."""
    info: SegmenterInfo
    """What it is made of."""
    logs: LogDrain
    """Fetches what the actors of the run log."""


@contextmanager
def segmenter_on_ray(build: Callable[[], Segmenter]) -> Iterator[RaySegmenter]:
    """Builds a segmenter in an actor, for as long as the context lasts.

    Uses the Ray that this process is connected to, or starts one for the context.

    Args:
        build: builds the segmenter; called in the actor.

    Raises:
        EngineError: the engine cannot be built.
        RunError: Ray does not start, or the actor died.
    """
    with ray_session():
        actor, logs = start_actor(_SegmenterActor), LogDrain()
        try:
            (info,) = _wait([actor.open.remote(build)], [actor], logs)
            yield RaySegmenter(actor, info, logs)
        finally:
            logs.pass_on([actor])
            ray.kill(actor)


def run_on_ray(
    cameras: Sequence[ProbedCamera],
    config: RunConfig,
    store: Path,
    segmenter: RaySegmenter,
    *,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    resume: bool = False,
) -> RunResult:
    """Records all cameras on Ray; the store has the same bytes as that of `run_in_process`.

    Args:
        cameras: the cameras; each is opened again in the process that reads it.
        config: the settings that decide the result.
        store: an open store, made by `MaskStore.create`.
        segmenter: segments the images of all cameras.
        on_progress: called a few times a second.
        stop: set it to end the run early; what is resolved by then is stored, and the run can be resumed.
        resume: continue each camera at its last commit.

    Raises:
        StoreError: the store failed, or frames went missing on the way (LedgerError).
        RunError: a process of the run died.
    """
    stop = stop or threading.Event()
    jobs = [camera.job for camera in cameras]
    image_sizes, class_names = [camera.probe.image_size for camera in cameras], segmenter.info.class_names
    with own_errors():
        recorders = [start_actor(_RecorderActor) for _ in jobs]
        readers = [start_actor(_ReaderActor, max_concurrency=2) for _ in jobs]  # so that `stop` is heard during `run`
        actors, logs = (segmenter.actor, *recorders, *readers), segmenter.logs
        try:
            warming = segmenter.actor.warm_up.remote(image_sizes)
            opening = [
                recorder.open.remote(camera.job, camera.probe, config, store, class_names, resume)
                for camera, recorder in zip(cameras, recorders, strict=True)
            ]
            resumed = _wait(opening, actors, logs)
            opening = [
                reader.open.remote(job, config.max_frames, done)
                for job, reader, (done, _) in zip(jobs, readers, resumed, strict=True)
            ]
            _wait([warming, *opening], actors, logs)
            runs = [
                ray.put((done, None, False)) if finished else reader.run.remote(segmenter.actor, recorder)
                for reader, recorder, (done, finished) in zip(readers, recorders, resumed, strict=True)
            ]
            told_to_stop = False

            def look() -> None:
                nonlocal told_to_stop
                if stop.is_set() and not told_to_stop:
                    ray.get([reader.stop.remote() for reader in readers])
                    told_to_stop = True
                progress = ray.get([recorder.progress.remote() for recorder in recorders])
                on_progress({job.camera: seen for job, seen in zip(jobs, progress, strict=True)})

            ended = _wait(runs, actors, logs, look)
            closing = [recorder.close.remote(*end) for recorder, end in zip(recorders, ended, strict=True)]
            results = all_closed([partial(_get, answer) for answer in closing])
            return RunResult(results, interrupted=any(stopped_early for _, _, stopped_early in ended))
        except BaseException:
            aborting = [recorder.abort.remote() for recorder in recorders]
            ray.wait(aborting, num_returns=len(aborting), timeout=5)
            raise
        finally:
            logs.pass_on(actors)
            for actor in (*recorders, *readers):
                ray.kill(actor)


def _wait(
    answers: Sequence[Any], actors: Sequence[Any], logs: LogDrain, look: Callable[[], None] = lambda: None
) -> list[Any]:
    """Waits for all answers and calls `look` meanwhile; an error ends the wait at once."""
    pending = list(answers)
    while pending:
        ended, pending = ray.wait(pending, timeout=POLL_SECONDS)
        for answer in ended:
            _get(answer)  # a store that failed ends the run now, not when the other cameras are done
        logs.pass_on(actors)
        look()
    return [_get(answer) for answer in answers]


def _get(answer: Any) -> Any:
    with own_errors():
        return ray.get(answer)
