"""The end of the line for one live camera: follows, draws and stores, and goes on watching when it cannot store."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roadmask.engines import Instances
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.image import ImageMaker
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.live.storing import FLOOR_BYTES, Fates, Losses, Storable, Storing
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.store import CameraWriter
from roadmask.tracking import Tracks, TrackState

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a recorder has to say after a frame, or when it is asked."""

    fates: Fates = field(default_factory=Fates)
    """What became of frames since the last outcome."""
    storing: bool = False
    store_detail: str = ""
    """Why it does not store, if it should."""
    tracked_ns: int = 0
    """Monotonic clock when the frame had been followed."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Confirmed tracks in the frame, by class name."""
    image: LiveImage | None = None


class LiveRecorder:
    """One camera's tracker, images and store.

    Args:
        writer: of this camera; None to watch only. The recorder goes on after what its store already holds.
        track: the tracker of this camera.
        class_names: category id -> name.
        images: draws what is shown; None draws nothing.
        floor_bytes: free disk below which nothing is stored.
        keep: how much of what is stored is kept; all if None.
    """

    def __init__(
        self,
        writer: CameraWriter | None,
        track: TrackStage,
        class_names: Mapping[int, str],
        images: ImageMaker | None = None,
        *,
        floor_bytes: int = FLOOR_BYTES,
        keep: Keep | None = None,
    ) -> None:
        self._track = track
        self._class_names = class_names
        self._images = images
        self._stretch = -1
        self._last: tuple[int, tuple[int, int], int] | None = None
        self._only_watched: list[int] = []
        self.committed = 0
        """Frames that were in the store when this began."""
        self._storing: Storing | None = None
        if writer is not None:
            self.committed = writer.ledger.stored
            self._go_on(writer)
            self._storing = Storing(writer, floor_bytes=floor_bytes, keep=keep)

    def push(self, frame: Frame, found: Instances, losses: Losses, *, show: bool = False) -> Outcome:
        """Takes the next frame and what was found in it.

        Args:
            frame: a later one than the frame before.
            found: its instances.
            losses: frames that were lost so far.
            show: draw it.
        """
        if self._begins(frame):
            self._stretch += 1
        tracks = self._track(replace(frame, epoch=self._stretch), found)
        tracked_ns = time.monotonic_ns()
        self._last = (frame.epoch, frame.image_size, frame.timestamp_ns)
        if self._storing is None:
            self._only_watched.append(frame.frame_index)
        else:
            self._storing.note(losses)
            self._storing.put(
                Storable(
                    frame.frame_index,
                    frame.timestamp_ns,
                    self._stretch,
                    frame.epoch,
                    frame.image_size,
                    frame.clock,
                    tracks,
                    self._track.state(),
                )
            )
        return self._outcome(tracked_ns, tracks, self._drawn(frame, tracks) if show else None)

    def tick(self, losses: Losses) -> Outcome:
        """Returns what became of frames by now; call it a few times a second, frames or not."""
        if self._storing is not None:
            self._storing.note(losses)
        return self._outcome()

    def finish(self) -> Outcome:
        """Decides the frames that wait for their tracks: no more will come."""
        if self._storing is not None:
            self._storing.finish()
        return self._outcome()

    def close(self, captured: int, losses: Losses) -> Ledger | None:
        """Commits and closes the camera's store, after `finish`.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        return None if self._storing is None else self._storing.close(captured, losses)

    def abandon(self) -> None:
        """Commits what it can and lets go."""
        if self._storing is not None:
            self._storing.abandon()

    def _go_on(self, writer: CameraWriter) -> None:
        """Takes up a camera whose recorder died, at its last commit."""
        if writer.epoch is None:
            return
        last = writer.begun.epochs[-1]
        self._stretch = int(last.info.info.get("stretch", last.info.epoch))
        if writer.begun.tracker is None:
            return
        before = [epoch for epoch in writer.begun.epochs if len(epoch)][-1]
        self._track.restore(writer.begun.tracker, int(before.info.info.get("stretch", before.info.epoch)))
        if len(last):
            camera_epoch = int(last.info.info.get("epoch", last.info.epoch))
            self._last = (camera_epoch, last.info.image_size, int(last.timestamp_ns[-1]))

    def _begins(self, frame: Frame) -> bool:
        """Whether another stretch begins: a new resolution or clock, or time that went back."""
        if self._last is None:
            return True
        epoch, size, timestamp_ns = self._last
        return frame.epoch != epoch or frame.image_size != size or frame.timestamp_ns <= timestamp_ns

    def _drawn(self, frame: Frame, tracks: Tracks) -> LiveImage | None:
        try:
            return None if self._images is None else self._images(frame, tracks)
        except Exception:  # the frame is on its way to the store, whatever becomes of its image
            _log.exception("camera %s: frame %d could not be drawn", frame.camera, frame.frame_index)
            return None

    def _outcome(self, tracked_ns: int = 0, tracks: Tracks | None = None, image: LiveImage | None = None) -> Outcome:
        if self._storing is None:
            fates, self._only_watched = Fates(watched=tuple(self._only_watched)), []
            problem = ""
        else:
            fates, problem = self._storing.fates(), self._storing.problem
        counts: Counter[str] = Counter()
        if tracks is not None:
            confirmed = tracks.instances.category_ids[tracks.states == TrackState.CONFIRMED]
            counts.update(self._class_names.get(label, f"class {label}") for label in confirmed.tolist())
        storing = self._storing is not None and not problem
        return Outcome(fates, storing, problem, tracked_ns, dict(counts), image)
