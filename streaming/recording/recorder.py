"""The recorder of one camera: tracks its instances and hands every frame to the camera's sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from roadmask.engines import Instances
from roadmask.engines.errors import RoadmaskError
from roadmask.geometry.distance.estimator import DistanceEstimator
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.recording.jobs import CameraJob, CameraProbe
from roadmask.streaming.recording.result import CameraProgress, CameraResult
from roadmask.streaming.segmentation import FailedSegmentation, Segmentation
from roadmask.streaming.sinks.sink import CameraDescription, ResumePoint, TrackedFrame, TrackSink
from roadmask.streaming.sinks.store import StoreSink
from roadmask.tracking import Backfill, CameraTracker, IouTracker, Tracker, TrackerState, Tracks, TrackState
from roadmask.tracking.propagation import GapFiller

T = TypeVar("T")
_BLACK = np.zeros((1, 1, 1), np.uint8)


@dataclass(frozen=True, eq=False)
class _WaitingFrame:
    """A frame that waits until its tracks are resolved."""

    frame: Frame
    tracker: TrackerState
    """The state of the tracker right after this frame: a resumed run continues from the last committed frame."""
    lost_before: tuple[LostFrame, ...]
    """The frames lost between the previous frame and this one: sinks hear of losses in their place."""


@dataclass(frozen=True, eq=False)
class _ReadItem:
    """A frame or a lost frame that waits until the next detection."""

    item: Frame | LostFrame
    """What was read; the pixels of a frame may be black."""
    repeated: bool
    """Whether an earlier run accounted for it."""


class Recorder:
    """The tracker, the backfill and the sinks of one camera.

    In a recorded drive a track has its id from its first frame on: frames wait here until each of their tentative
    tracks is confirmed or dropped, which the tracker's configuration bounds to a fraction of a second.

    Args:
        camera: name of the camera.
        track: the camera's tracker.
        sinks: the camera's sinks, which the recorder opens and ends. One may continue an earlier run; the recorder then
            resumes there.
        description: what the sinks are told of the camera.
        frames_expected: estimated length of the source, for the progress.
        gaps: fills the frames between detections; None if every frame is detected.
        track_images: whether the tracker reads the images of frames.

    Raises:
        InputError: a sink cannot be written with these settings.
        StoreError: a sink cannot be opened; those opened before it were aborted.
    """

    def __init__(
        self,
        camera: str,
        track: TrackStage,
        sinks: Sequence[TrackSink],
        description: CameraDescription,
        frames_expected: int | None = None,
        *,
        gaps: GapFiller[_ReadItem] | None = None,
        track_images: bool = False,
    ) -> None:
        self._camera = camera
        self._track = track
        self._sinks = sinks
        self._needs_image = any(sink.needs_image for sink in sinks)
        self._gaps = gaps
        self._track_images = track_images
        self._reading_epoch: int | None = None
        self._repeated = -1
        self._waiting: Backfill[_WaitingFrame] = Backfill()
        self._lost: list[LostFrame] = []
        self._failures: Counter[str] = Counter()
        self.resume_point = self._opened(description)
        """What an earlier run committed; nothing in a new run."""
        before = self.resume_point
        self._ledger = Ledger(0, before.ledger.stored, dict(before.ledger.dropped), dict(before.ledger.failed))
        self._epoch = before.epoch
        self._seen = set(before.tracks)
        self.progress = CameraProgress(before.ledger.accounted, dict(Counter(before.tracks.values())), frames_expected)
        if before.tracker is not None and before.epoch is not None:
            track.restore(before.tracker, before.epoch)

    def _opened(self, description: CameraDescription) -> ResumePoint:
        try:
            points = [sink.open(self._camera, description) for sink in self._sinks]
        except BaseException:
            self.abort()
            raise
        return next((point for point in points if point is not None), ResumePoint())

    def expect_repeated(self, count: int) -> None:
        """Says, before the first frame of a resumed run, how many items at its start were accounted for before.

        The frames after them are filled from these; they are neither tracked nor written again. Later calls do nothing.
        """
        if self._repeated < 0:
            self._repeated = count

    def push(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Takes the next frame and the instances found in it; None if it was not detected.

        Raises:
            InputError: the frame is not later than the previous one of its epoch.
            StoreError: a sink cannot be written; what was committed before is safe.
        """
        failed = isinstance(segmentation, FailedSegmentation)
        if self._gaps is not None and (failed or frame.epoch != self._reading_epoch):
            self._reading_epoch = frame.epoch
            self._take(self._gaps.flush())
        if isinstance(segmentation, FailedSegmentation):
            if self._repeated <= 0:
                self._failures[segmentation.reason] += 1
            self.push_lost(LostFrame(frame.camera, frame.epoch, frame.frame_index, frame.timestamp_ns, "engine"))
            return
        repeated = self._counted()
        if self._gaps is not None:
            held = frame if self._needs_image or self._track_images else without_pixels(frame)
            item = _ReadItem(held, repeated)
            self._take(self._gaps.push(item, frame.image, frame.timestamp_ns, segmentation))
        elif segmentation is not None:
            self._track_frame(frame, segmentation)

    def push_lost(self, lost: LostFrame) -> None:
        """Takes a frame that was captured but has no image or could not be segmented."""
        repeated = self._counted()
        if self._gaps is not None:
            self._take(self._gaps.push_lost(_ReadItem(lost, repeated)))
        else:
            self._lost.append(lost)

    def _counted(self) -> bool:
        """Counts an item in the progress; returns whether it is repeated, which the progress of before includes."""
        if self._repeated > 0:
            self._repeated -= 1
            return True
        self.progress.frames += 1
        return False

    def _take(self, ready: list[tuple[_ReadItem, Instances | None]]) -> None:
        """Takes items whose instances are known, and drops those of an earlier run."""
        for item, instances in ready:
            if item.repeated:
                continue
            if isinstance(item.item, LostFrame):
                self._lost.append(item.item)
            elif instances is not None:
                self._track_frame(item.item, instances)

    def _track_frame(self, frame: Frame, instances: Instances) -> None:
        if frame.epoch != self._epoch:
            self._write(self._waiting.flush())
            self._epoch = frame.epoch
        tracks = self._track(frame, instances)
        if not self._needs_image:  # waiting frames need not hold their pixels
            frame = without_pixels(frame)
        waiting = _WaitingFrame(frame, self._track.state(), tuple(self._lost))
        self._lost.clear()
        self._write(self._waiting.push(waiting, tracks))

    def close(self, captured: int, problem: str | None = None) -> CameraResult:
        """Writes the frames that wait, closes the sinks, and checks that no frame is missing.

        Args:
            captured: number of frames that the reader counted.
            problem: why the source ended early, if it did.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: a sink cannot be written; what was committed before is safe.
        """
        if self.resume_point.finished:
            captured = self.resume_point.ledger.captured
        else:
            if self._gaps is not None:
                self._take(self._gaps.flush())
            self._write(self._waiting.flush())
            self._report_lost(self._lost)
        self._close_sinks(captured)
        self._ledger.captured = captured
        self._ledger.check(self._camera)
        return self._result(problem)

    def suspend(self, captured: int) -> CameraResult:
        """Ends before the source did: keeps what is resolved; a resumed run reads the rest again.

        Args:
            captured: number of frames that the reader counted.

        Raises:
            LedgerError: captured frames did not come here; everything that is resolved is committed.
            StoreError: a sink cannot be written; what was committed before is safe.
        """
        self._close_sinks(None)
        self._ledger.captured = self._ledger.accounted
        Ledger(captured, self.progress.frames).check(self._camera)
        return self._result()

    def abort(self) -> None:
        """Ends a run that failed: the store commits what it can, an unfinished video is removed."""
        for sink in self._sinks:
            sink.abort()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()

    def _write(self, resolved: list[tuple[_WaitingFrame, Tracks]]) -> None:
        for waiting, tracks in resolved:
            self._report_lost(waiting.lost_before)
            tracked = TrackedFrame(waiting.frame, tracks, waiting.tracker)
            for sink in self._sinks:
                sink.write(tracked)
            self._ledger.stored += 1
            self._count_tracks(tracks)

    def _report_lost(self, items: Iterable[LostFrame]) -> None:
        for item in items:
            for sink in self._sinks:
                sink.lost(item)
            counts = self._ledger.failed if item.outcome == "failed" else self._ledger.dropped
            counts[item.reason] = counts.get(item.reason, 0) + 1

    def _close_sinks(self, captured: int | None) -> None:
        """Closes every sink, the first one (the store) last: a finished store says that all else is finished too."""
        all_closed([partial(sink.close, captured) for sink in reversed(self._sinks)])

    def _result(self, problem: str | None = None) -> CameraResult:
        return CameraResult(self._camera, self._ledger, self.progress, dict(self._failures), problem)

    def _count_tracks(self, tracks: Tracks) -> None:
        confirmed = tracks.states == TrackState.CONFIRMED
        for track_id, category_id in zip(
            tracks.track_ids[confirmed], tracks.instances.category_ids[confirmed], strict=True
        ):
            if int(track_id) not in self._seen:
                self._seen.add(int(track_id))
                self.progress.tracks[int(category_id)] = self.progress.tracks.get(int(category_id), 0) + 1


def without_pixels(frame: Frame) -> Frame:
    """Returns a frame that keeps the size of its image and none of its memory."""
    return replace(frame, image=np.broadcast_to(_BLACK, frame.image.shape))


def build_tracker(config: RunConfig) -> Tracker:
    """Returns the tracker that a configuration asks for."""
    tracker = IouTracker(config.tracker)
    return CameraTracker(tracker) if config.image_motion else tracker


def build_recorder(
    job: CameraJob, probe: CameraProbe, config: RunConfig, store: Path, class_names: Mapping[int, str], *, resume: bool
) -> Recorder:
    """Returns the recorder of a camera with all its sinks: the store, the overlay video and those that the job adds.

    Args:
        job: the camera.
        probe: what is known of it.
        config: the settings that decide the result.
        store: an open store, made by `MaskStore.create`.
        class_names: category id -> name of the classes that the segmenter reports.
        resume: continue at the last commit of the camera.

    Raises:
        InputError: a sink cannot be written with these settings.
        StoreError: the camera cannot be opened in the store, or another sink cannot be written.
    """
    calibration = config.calibration_of(job.camera)
    sinks: list[TrackSink] = [StoreSink(store, config.store, resume=resume, calibration=calibration)]
    if job.overlay is not None:
        from roadmask.streaming.sinks.overlay import OverlayVideo  # noqa: PLC0415 - PyAV only where a video is drawn

        sinks.append(OverlayVideo(job.overlay))
    sinks += job.sinks(job.camera)
    distance = None if calibration is None else DistanceEstimator(calibration)
    track = TrackStage(build_tracker(config), config.ignore_region(job.camera), distance)
    description = CameraDescription(class_names, probe.description, probe.fps)
    return Recorder(
        job.camera,
        track,
        sinks,
        description,
        probe.frames_to_read(config.max_frames),
        gaps=GapFiller(config.engine.score_min) if config.detect_every > 1 else None,
        track_images=config.image_motion,
    )


def all_closed(closers: Sequence[Callable[[], T]]) -> list[T]:
    """Calls every closer, even if one of them fails, and only then raises the first error; returns their results."""
    results, errors = [], []
    for close in closers:
        try:
            results.append(close())
        except RoadmaskError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results
