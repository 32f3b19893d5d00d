"""Records cameras in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from roadmask.engines import Segmenter
from roadmask.engines.errors import SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.jobs import CameraJob, ProbedCamera
from roadmask.streaming.recording.reader import Reader
from roadmask.streaming.recording.recorder import Recorder, all_closed, build_recorder
from roadmask.streaming.recording.result import CameraResult, ProgressCallback, RunResult
from roadmask.streaming.segmentation import segment_each

_log = logging.getLogger(__name__)


class _Camera:
    """The reader and the recorder of one camera."""

    def __init__(self, job: CameraJob, reader: Reader, recorder: Recorder) -> None:
        self.job = job
        self.reader = reader
        self.recorder = recorder
        self.items = iter(reader)
        self.problem: str | None = None
        self.ended = recorder.resume_point.finished

    def next_frame(self) -> Frame | None:
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
        """Stores what waits and checks the ledger; if the source was not read to its end, keeps the rest for later."""
        if self.reader.stopped_early:
            return self.recorder.suspend(self.reader.captured)
        return self.recorder.close(self.reader.captured, self.problem)


def run_in_process(
    cameras: Sequence[ProbedCamera],
    config: RunConfig,
    store: Path,
    segmenter: Segmenter,
    *,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    resume: bool = False,
) -> RunResult:
    """Records all cameras, one frame of each in turn; each camera is decoded ahead in a thread.

    Args:
        cameras: the cameras, whose sources are read from where the probe ended, and closed.
        config: the settings that decide the result.
        store: an open store, made by `MaskStore.create`.
        segmenter: segments the images of all cameras.
        on_progress: called after each round.
        stop: set it to end the run early; what is resolved by then is stored, and the run can be resumed.
        resume: continue each camera at its last commit.

    Raises:
        StoreError: the store failed, or frames went missing on the way (LedgerError).
    """
    stop = stop or threading.Event()
    class_names = segmenter.info.class_names
    with ExitStack() as opened:
        running = []
        for probed in cameras:
            recorder = build_recorder(probed.job, probed.probe, config, store, class_names, resume=resume)
            opened.enter_context(recorder)
            done = recorder.resume_point.ledger.accounted
            reader = opened.enter_context(
                Reader(probed.source, config.max_frames, done, probed.job.placed(probed.items))
            )
            running.append(_Camera(probed.job, reader, recorder))
        while any(not camera.ended for camera in running):
            if stop.is_set():
                for camera in running:
                    camera.reader.stop()
            frames = [(camera, frame) for camera in running if not camera.ended and (frame := camera.next_frame())]
            segmentations = segment_each(segmenter, [frame.image for _, frame in frames])
            for (camera, frame), segmentation in zip(frames, segmentations, strict=True):
                camera.recorder.push(frame, segmentation)
            on_progress({camera.job.camera: camera.recorder.progress for camera in running})
        results = all_closed([camera.close for camera in running])
    return RunResult(results, interrupted=any(camera.reader.stopped_early for camera in running))
