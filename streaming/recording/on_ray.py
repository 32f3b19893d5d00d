"""Runs cameras on Ray: a reader and a recorder actor for each, one segmenter that batches across them.

The actors hold no logic. Frames travel as references only, a few in a parcel, because each call of an actor costs more
than following and storing a frame does: the reader puts a parcel into the object store once, the segmenter and the
recorder take it from there, and the driver sees none. Ray keeps the order of one reader's calls to its recorder, so a
camera is stored exactly as it is in one process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray

from roadmask.engines import Segmenter
from roadmask.engines.errors import SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.ray_actors import Actor, LogDrain, own_errors, ray_session, start_actor
from roadmask.streaming.recording.in_process import all_closed, build_recorder
from roadmask.streaming.recording.jobs import CameraJob, ProgressCallback, RunResult
from roadmask.streaming.recording.reader import Reader
from roadmask.streaming.recording.recorder import CameraProgress, CameraResult, Recorder
from roadmask.streaming.segmentation import Batcher, Segmentation, segment_each
from roadmask.streaming.store import CameraWriter

PARCEL_FRAMES = 4
"""Frames that travel together, at most."""
PARCEL_BYTES = 8 * 2**20
"""A parcel that has reached this size is full."""
PARCELS_IN_FLIGHT = 3
"""Parcels of one camera between its reader and its recorder, at most."""
POLL_SECONDS = 0.25


class _SegmenterActor(Actor):
    """Batches the images of all cameras."""

    async def open(self, build: Callable[[], Segmenter], image_sizes: Sequence[tuple[int, int]]) -> None:
        """Builds the engine and warms it up."""
        segmenter = build()
        for image_size in dict.fromkeys(image_sizes):
            segmenter.warm_up(image_size)
        self._batch = Batcher(lambda images: segment_each(segmenter, images), batch_max=len(image_sizes))

    async def segment(self, parcel: Sequence[Frame | LostFrame]) -> list[Segmentation]:
        """Returns what is in each frame that has an image, one after the other: batches are of several cameras."""
        return [await self._batch(item.image) for item in parcel if isinstance(item, Frame)]


class _RecorderActor(Actor):
    """Follows and stores one camera."""

    _recorder: Recorder | None = None

    def open(
        self, store: Path, job: CameraJob, config: RunConfig, class_names: dict[int, str], resume: bool
    ) -> tuple[int, bool]:
        """Starts to write the camera; returns the frames that are accounted for, and whether these are all."""
        writer = CameraWriter(store, job.camera, config.store, resume=resume)
        self._recorder = build_recorder(writer, job, config, class_names)
        return writer.begun.ledger.accounted, writer.begun.finished

    def push(self, parcel: Sequence[Frame | LostFrame], segmentations: Sequence[Segmentation]) -> None:
        """Takes the next frames, and what is in those that have an image."""
        found = iter(segmentations)
        for item in parcel:
            if isinstance(item, Frame):
                self._opened.push(item, next(found))
            else:
                self._opened.push_lost(item)

    def progress(self) -> CameraProgress:
        """Returns how far the camera has come."""
        return self._opened.progress

    def close(self, captured: int, problem: str | None, stopped_early: bool) -> CameraResult:
        """Stores what waits; see `Recorder.close` and `Recorder.suspend`."""
        return self._opened.suspend(captured) if stopped_early else self._opened.close(captured, problem)

    def abort(self) -> None:
        """Lets go of unfinished files."""
        if self._recorder is not None:
            self._recorder.abort()

    @property
    def _opened(self) -> Recorder:
        assert self._recorder is not None  # noqa: S101 - the driver opens it first
        return self._recorder


class _ReaderActor(Actor):
    """Reads one camera and sends each frame on its way."""

    def open(self, job: CameraJob, frames_max: int | None, skip: int) -> None:
        """Opens the source."""
        self._reader = Reader(job.open(), frames_max, skip)

    def run(self, segmenter: Any, recorder: Any) -> tuple[int, str | None, bool]:
        """Reads to the end.

        Returns:
            The number of captured frames, why the source ended early, if it did, and whether it was told to stop.
        """
        in_flight: deque[Any] = deque()
        problem = None
        with self._reader:
            try:
                for items in _parcels(self._reader):
                    parcel = ray.put(items)
                    in_flight.append(recorder.push.remote(parcel, segmenter.segment.remote(parcel)))
                    while len(in_flight) >= PARCELS_IN_FLIGHT:
                        ray.get(in_flight.popleft())
            except SourceError as error:
                problem = str(error)
            ray.get(list(in_flight))
        return self._reader.captured, problem, self._reader.stopped_early

    def stop(self) -> None:
        """Ends `run` after the frames that were read ahead."""
        self._reader.stop()


def _parcels(items: Iterable[Frame | LostFrame]) -> Iterator[list[Frame | LostFrame]]:
    """Yields frames a few at a time; what came before an error is yielded before it is raised."""
    parcel: list[Frame | LostFrame] = []
    size = 0
    try:
        for item in items:
            parcel.append(item)
            size += item.image.nbytes if isinstance(item, Frame) else 0
            if len(parcel) == PARCEL_FRAMES or size >= PARCEL_BYTES:
                yield parcel
                parcel, size = [], 0
    except SourceError:
        if parcel:
            yield parcel
        raise
    if parcel:
        yield parcel


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
    resume: bool = False,
) -> RunResult:
    """Runs all cameras on Ray; the stores are the same, byte for byte, as those of `run_in_process`.

    Uses the Ray this process is connected to, or starts one for the run.

    Args:
        jobs: the cameras.
        config: what decides the result.
        store: an open store, made by `MaskStore.create`.
        build: builds the segmenter, in a process of its own.
        class_names: category id -> name of the classes it reports.
        image_sizes: (height, width) of each camera's first image, to warm the engine up.
        on_progress: called a few times a second.
        stop: set it to end the run early; what is decided by then is stored, and the run can be resumed.
        resume: go on at the last commit of each camera that was begun.

    Raises:
        StoreError: the store failed, or frames went missing on the way (LedgerError).
        EngineError: the engine cannot be built.
        RunError: a process of the run died.
    """
    stop = stop or threading.Event()
    with ray_session(), own_errors():
        # Two threads for a reader, so that `stop` is heard while `run` runs.
        segmenter = start_actor(_SegmenterActor)
        recorders = [start_actor(_RecorderActor) for _ in jobs]
        readers = [start_actor(_ReaderActor, max_concurrency=2) for _ in jobs]
        actors, logs = (segmenter, *recorders, *readers), LogDrain()
        try:
            warming = segmenter.open.remote(build, list(image_sizes))
            opening = [
                recorder.open.remote(store, job, config, class_names, resume)
                for job, recorder in zip(jobs, recorders, strict=True)
            ]
            begun = _wait(opening, actors, logs)
            opening = [
                reader.open.remote(job, config.max_frames, done)
                for job, reader, (done, _) in zip(jobs, readers, begun, strict=True)
            ]
            _wait([warming, *opening], actors, logs)
            runs = [
                ray.put((accounted, None, False)) if finished else reader.run.remote(segmenter, recorder)
                for reader, recorder, (accounted, finished) in zip(readers, recorders, begun, strict=True)
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
            for actor in actors:
                ray.kill(actor)


def _wait(
    answers: Sequence[Any], actors: Sequence[Any], logs: LogDrain, look: Callable[[], None] = lambda: None
) -> list[Any]:
    """Waits for all answers, looking after the run meanwhile; an error ends the wait at once."""
    pending = list(answers)
    while pending:
        ended, pending = ray.wait(pending, timeout=POLL_SECONDS)
        for answer in ended:
            _get(answer)  # a store that failed ends the run now, not when the other cameras are through
        logs.pass_on(actors)
        look()
    return [_get(answer) for answer in answers]


def _get(answer: Any) -> Any:
    with own_errors():
        return ray.get(answer)
