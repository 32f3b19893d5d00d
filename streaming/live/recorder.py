"""The end of the line for one live camera: tracks its frames, hands them to sinks, and survives a sink that fails."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from roadmask.engines import Instances
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger, Outcome
from roadmask.streaming.live.jpeg_sink import JpegSink
from roadmask.streaming.live.ledger import WATCHED
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.live.store_sink import LiveStoreSink
from roadmask.streaming.live.store_worker import COMMIT_S, StoreWorker
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.sinks.sink import CameraDescription, TrackedFrame, TrackSink
from roadmask.tracking import Tracks, TrackState

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecorderAnswer:
    """What a recorder says after a frame, or when it is asked."""

    outcomes: tuple[Outcome, ...] = ()
    """What became of frames since the last answer."""
    storing: bool = False
    """Whether frames are stored now."""
    store_detail: str = ""
    """Why they are not, if they should be."""
    tracked_ns: int = 0
    """Monotonic clock when the frame had been tracked; 0 in an answer without a frame."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Confirmed tracks in the frame, by class name."""
    image: LiveImage | None = None
    """The frame as it is shown; None if nobody looks."""


class LiveRecorder:
    """One camera's tracker and sinks.

    The store has a thread of its own, which writes backfilled tracks; the other sinks get each frame at once, with the
    tracks as they are then. Most frames of a live camera are lost in other processes, which only count them, so `lost`
    is not called here: the store takes the counts of the camera's ledger.

    Args:
        camera: name of the camera.
        track: the tracker of this camera.
        class_names: category id -> name.
        store: where the camera is stored; None to watch only. The recorder goes on after what it holds already.
        sinks: further sinks. One that fails is left out from then on; the run goes on.
    """

    def __init__(
        self,
        camera: str,
        track: TrackStage,
        class_names: Mapping[int, str],
        store: LiveStoreSink | None = None,
        sinks: Sequence[TrackSink] = (),
    ) -> None:
        self._camera = camera
        self._track = track
        self._class_names = class_names
        description = CameraDescription(class_names)
        self._image: LiveImage | None = None
        self._jpeg = JpegSink(self._publish)
        self._jpeg.open(camera, description)
        self._only_watched: list[int] = []
        self.committed = 0
        """Frames that were in the store when this recorder began."""
        self._worker: StoreWorker | None = None
        if store is not None:
            point = store.open(camera, description)
            self.committed = point.ledger.stored
            if point.tracker is not None and point.epoch is not None:
                track.restore(point.tracker, point.epoch)
            self._worker = StoreWorker(camera, store)
        self._sinks = list(sinks)
        self._commit_at = time.monotonic() + COMMIT_S
        for sink in self._sinks:
            sink.open(camera, description)

    def push(self, frame: Frame, found: Instances, ledger: Ledger, *, show: bool = False) -> RecorderAnswer:
        """Takes the next frame and what was found in it.

        Args:
            frame: a later one than the frame before.
            found: its instances.
            ledger: of the camera so far; its losses go into the store.
            show: draw the frame.
        """
        tracks = self._track(frame, found)
        tracked_ns = time.monotonic_ns()
        tracked = TrackedFrame(frame, tracks, self._track.state())
        # A sink may keep a frame; pixels that it does not need would fill Ray's object store.
        black = replace(tracked, frame=replace(frame, image=np.broadcast_to(np.uint8(0), frame.image.shape)))
        if self._worker is None:
            self._only_watched.append(frame.frame_index)
        else:
            self._worker.note(ledger)
            self._worker.put(black)
        self._image = None
        for sink in [*([self._jpeg] if show else []), *self._sinks]:
            self._guarded(sink, sink.write, tracked if sink.needs_image else black)
        return self._answer(tracked_ns, tracks)

    def tick(self, ledger: Ledger) -> RecorderAnswer:
        """Returns what became of frames by now; call it a few times a second, whether frames come or not."""
        if self._worker is not None:
            self._worker.note(ledger)
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + COMMIT_S
            for sink in list(self._sinks):
                self._guarded(sink, sink.commit)
        return self._answer()

    def finish(self) -> RecorderAnswer:
        """Decides the frames that wait for their tracks: no more will come."""
        if self._worker is not None:
            self._worker.finish()
        return self._answer()

    def close(self, ledger: Ledger) -> None:
        """Closes the sinks, after `finish`; the store last.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        for sink in list(self._sinks):
            self._guarded(sink, sink.close, ledger.captured)
        if self._worker is not None:
            self._worker.close(ledger)

    def abort(self) -> None:
        """Commits what it can and lets go."""
        for sink in self._sinks:
            sink.abort()
        if self._worker is not None:
            self._worker.abort()

    def _publish(self, image: LiveImage) -> None:
        self._image = image

    def _guarded(self, sink: TrackSink, call: Callable[..., None], *arguments: object) -> None:
        """Calls a method of a sink; the store gets the frame whatever happens here."""
        try:
            call(*arguments)
        except Exception as error:
            if sink is self._jpeg:
                _log.exception("camera %s: a frame could not be drawn", self._camera)
                return
            _log.error("camera %s: continuing without %s: %r", self._camera, type(sink).__name__, error)
            self._sinks.remove(sink)
            sink.abort()

    def _answer(self, tracked_ns: int = 0, tracks: Tracks | None = None) -> RecorderAnswer:
        if self._worker is None:
            outcomes = [Outcome(frame_index, "dropped", WATCHED) for frame_index in self._only_watched]
            self._only_watched.clear()
        else:
            outcomes = self._worker.outcomes()
        problem = "" if self._worker is None else self._worker.problem
        counts: Counter[str] = Counter()
        image = None
        if tracks is not None:
            confirmed = tracks.instances.category_ids[tracks.states == TrackState.CONFIRMED]
            counts.update(self._class_names.get(category, f"class {category}") for category in confirmed.tolist())
            image = self._image
        storing = self._worker is not None and not problem
        return RecorderAnswer(tuple(outcomes), storing, problem, tracked_ns, dict(counts), image)
