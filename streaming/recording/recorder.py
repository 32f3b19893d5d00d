"""The end of the line for one camera: follows its instances, stores them, draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.segmentation import FailedSegmentation, Segmentation
from roadmask.tracking import Backfill, TrackerState, Tracks, TrackState

if TYPE_CHECKING:
    from roadmask.streaming.sinks.overlay import OverlayWriter
    from roadmask.streaming.store import CameraWriter

_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


@dataclass
class CameraProgress:
    """How far a camera has come."""

    frames: int = 0
    """Frames that reached the recorder, lost and failed ones included."""
    tracks: dict[int, int] = field(default_factory=dict)
    """Confirmed tracks so far, by category id."""


@dataclass(frozen=True)
class CameraResult:
    """What became of one camera."""

    camera: str
    """Its name."""
    ledger: Ledger
    """Every captured frame, accounted for."""
    progress: CameraProgress
    """Its last state."""
    failures: dict[str, int]
    """Messages of the engine's failures -> frames."""
    problem: str | None = None
    """Why the camera ended before its source did, if so."""


@dataclass(frozen=True, eq=False)
class _Held:
    """A frame that waits for its tracks to be decided."""

    frame: Frame
    tracker: TrackerState
    """What the tracker knew right after it: a run that is resumed goes on from the last frame that was committed."""
    lost_before: tuple[str, ...]
    """Reasons of the failed frames between the frame before and this one: losses are counted in their place."""


class Recorder:
    """One camera's tracker, back-fill, store and overlay.

    A recorded drive gives a track its id from its first frame on: frames wait here until each of their tentative
    tracks is confirmed or gone, which the tracker's configuration bounds to a fraction of a second.

    Args:
        writer: of this camera; the recorder goes on after what its store already holds.
        track: the tracker of this camera.
        overlay: draws the stored tracks into a video, if given; closed with the recorder.
    """

    def __init__(self, writer: CameraWriter, track: TrackStage, overlay: OverlayWriter | None = None) -> None:
        self._writer = writer
        self._track = track
        self._overlay = overlay
        self._waiting: Backfill[_Held] = Backfill()
        self._lost: list[str] = []
        self._failures: Counter[str] = Counter()
        begun = writer.begun
        self._epoch = None if writer.epoch is None else writer.epoch.epoch
        self._seen = set(begun.tracks)
        self.progress = CameraProgress(begun.ledger.accounted, dict(Counter(begun.tracks.values())))
        if begun.tracker is not None and begun.epoch is not None:
            track.restore(begun.tracker, begun.epoch)

    def push(self, frame: Frame, segmentation: Segmentation) -> None:
        """Takes the next frame and what was found in it.

        Raises:
            StoreError: the frame cannot be stored; what was committed before is safe.
        """
        self.progress.frames += 1
        if isinstance(segmentation, FailedSegmentation):
            self._failures[segmentation.reason] += 1
            self._lost.append("engine")
            return
        if frame.epoch != self._epoch:
            self._record(self._waiting.flush())
            self._writer.start_epoch(frame.epoch, frame.image_size, frame.clock)
            self._epoch = frame.epoch
        tracks = self._track(frame, segmentation)
        if self._overlay is None:
            frame = replace(frame, image=_NO_IMAGE)  # waiting frames need not keep theirs
        held = _Held(frame, self._track.state(), tuple(self._lost))
        self._lost.clear()
        self._record(self._waiting.push(held, tracks))

    def push_lost(self, lost: LostFrame) -> None:
        """Counts a frame that was captured but gave no image."""
        self.progress.frames += 1
        self._lost.append(lost.reason)

    def close(self, captured: int, problem: str | None = None) -> CameraResult:
        """Stores what waits and checks that no frame is missing.

        Args:
            captured: frames that the reader counted.
            problem: why the source ended early, if it did.

        Raises:
            LedgerError: captured frames are neither stored, dropped nor failed; everything that came is committed.
        """
        if not self._writer.begun.finished:
            self._record(self._waiting.flush())
            self._count_lost(self._lost)
            if self._overlay is not None:
                self._overlay.close()
        ledger = self._writer.close(captured)
        return CameraResult(self._writer.camera, ledger, self.progress, dict(self._failures), problem)

    def suspend(self, captured: int) -> CameraResult:
        """Ends before the source did: stores what is decided; the rest is read again when the run is resumed.

        Args:
            captured: frames that the reader counted.

        Raises:
            LedgerError: captured frames did not come here; everything that is decided is committed.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        if self._overlay is not None:
            self._overlay.close()
        ledger = self._writer.suspend()
        Ledger(captured, self.progress.frames).check(self._writer.camera)
        return CameraResult(self._writer.camera, ledger, self.progress, dict(self._failures))

    def abort(self) -> None:
        """Ends a run that failed: the store keeps what it can commit, the overlay's unfinished file goes."""
        self._writer.abandon()
        if self._overlay is not None:
            self._overlay.discard()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()

    def _record(self, resolved: list[tuple[_Held, Tracks]]) -> None:
        for held, tracks in resolved:
            self._count_lost(held.lost_before)
            self._writer.append(held.frame.frame_index, held.frame.timestamp_ns, tracks, held.tracker)
            if self._overlay is not None:
                self._overlay.append(held.frame, tracks)
            self._count(tracks)

    def _count_lost(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self._writer.count_lost("failed", reason)

    def _count(self, tracks: Tracks) -> None:
        confirmed = tracks.states == TrackState.CONFIRMED
        for track_id, category_id in zip(
            tracks.track_ids[confirmed], tracks.instances.category_ids[confirmed], strict=True
        ):
            if int(track_id) not in self._seen:
                self._seen.add(int(track_id))
                self.progress.tracks[int(category_id)] = self.progress.tracks.get(int(category_id), 0) + 1
