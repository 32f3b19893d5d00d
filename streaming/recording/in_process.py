"""Runs cameras to the end of their sources in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from roadmask.engines import Segmenter
from roadmask.engines.errors import RoadmaskError, SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.recording.jobs import CameraJob, ProgressCallback, RunResult
from roadmask.streaming.recording.reader import Reader
from roadmask.streaming.recording.recorder import CameraResult, Recorder
from roadmask.streaming.segmentation import segment_each
from roadmask.streaming.store import CameraWriter
from roadmask.tracking import CameraTracker, IouTracker, Tracker

_log = logging.getLogger(__name__)


def build_tracker(config: RunConfig) -> Tracker:
    """Returns a tracker, as every way to run builds it."""
    tracker = IouTracker(config.tracker)
    return CameraTracker(tracker) if config.image_motion else tracker


def build_recorder(writer: CameraWriter, job: CameraJob, config: RunConfig, class_names: dict[int, str]) -> Recorder:
    """Returns the recorder of a camera, as every way to run builds it."""
    overlay = None
    if job.overlay is not None:
        from roadmask.streaming.sinks.overlay import OverlayWriter  # noqa: PLC0415 - draws only where asked to

        overlay = OverlayWriter(job.overlay, class_names=class_names)
    track = TrackStage(build_tracker(config), config.ignore_region(job.camera))
    return Recorder(writer, track, overlay)


class _Camera:
    """A camera on its way through this process."""

    def __init__(self, job: CameraJob, reader: Reader, recorder: Recorder, *, ended: bool) -> None:
        self.job = job
        self.reader = reader
        self.recorder = recorder
        self.items = iter(reader)
        self.problem: str | None = None
        self.ended = ended

    def next_image(self) -> Frame | None:
        """Returns the next frame that has an image; None at the end."""
        try:
            for item in self.items:
                if isinstance(item, Frame):
                    return item
                self.recorder.push_lost(item)
        except SourceError as error:
            self.problem = str(error)
            _log.warning("camera %s ends early: %s", self.job.camera, error)
        self.ended = True
        return None

    def close(self) -> CameraResult:
        """Stores what waits and checks the ledger; where the source was left early, keeps the rest for later."""
        if self.reader.stopped_early:
            return self.recorder.suspend(self.reader.captured)
        return self.recorder.close(self.reader.captured, self.problem)


def all_closed(closers: Sequence[Callable[[], CameraResult]]) -> list[CameraResult]:
    """Closes every camera, also when one of them fails, and only then raises the first error."""
    results, errors = [], []
    for close in closers:
        try:
            results.append(close())
        except RoadmaskError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results


def run_in_process(
    jobs: Sequence[CameraJob],
    config: RunConfig,
    store: Path,
    segmenter: Segmenter,
    *,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    resume: bool = False,
) -> RunResult:
    """Runs all cameras, one frame of each in turn, decoding ahead in threads.

    Args:
        jobs: the cameras.
        config: what decides the result.
        store: an open store, made by `MaskStore.create`.
        segmenter: shared by the cameras.
        on_progress: called after each round.
        stop: set it to end the run early; what is decided by then is stored, and the run can be resumed.
        resume: go on at the last commit of each camera that was begun.

    Raises:
        StoreError: the store failed, or frames went missing on the way (LedgerError).
    """
    stop = stop or threading.Event()
    with ExitStack() as opened:
        cameras = []
        for job in jobs:
            writer = CameraWriter(store, job.camera, config.store, resume=resume)
            recorder = opened.enter_context(build_recorder(writer, job, config, segmenter.info.class_names))
            reader = opened.enter_context(Reader(job.open(), config.max_frames, writer.begun.ledger.accounted))
            cameras.append(_Camera(job, reader, recorder, ended=writer.begun.finished))
        while any(not camera.ended for camera in cameras):
            if stop.is_set():
                for camera in cameras:
                    camera.reader.stop()
            frames = [(camera, frame) for camera in cameras if not camera.ended and (frame := camera.next_image())]
            for (camera, frame), found in zip(
                frames, segment_each(segmenter, [frame.image for _, frame in frames]), strict=True
            ):
                camera.recorder.push(frame, found)
            on_progress({camera.job.camera: camera.recorder.progress for camera in cameras})
        results = all_closed([camera.close for camera in cameras])
    return RunResult(results, interrupted=any(camera.reader.stopped_early for camera in cameras))
