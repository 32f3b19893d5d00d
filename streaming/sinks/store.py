"""The store as a sink: each camera in its own group, resumable at the last commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roadmask.geometry.calibration import Calibration
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sinks.sink import CameraDescription, ResumePoint, TrackedFrame
from roadmask.streaming.store.camera_writer import CameraWriter
from roadmask.streaming.store.config import DEFAULT_STORE_CONFIG, StoreConfig


class StoreSink:
    """Writes one camera into its group of an existing store.

    Args:
        path: the store, made by `MaskStore.create`.
        store_config: how the store is cut into files; the same for all cameras.
        resume: continue at the last commit of a camera that an earlier run left unfinished.
        calibration: of the camera, which each epoch keeps for images of its size.
    """

    needs_image = False

    def __init__(
        self,
        path: Path,
        store_config: StoreConfig = DEFAULT_STORE_CONFIG,
        *,
        resume: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        self._path = path
        self._calibration = calibration
        self._config = store_config
        self._resume = resume
        self._writer: CameraWriter | None = None

    @property
    def writer(self) -> CameraWriter:
        """The writer of the camera, once the sink is open."""
        assert self._writer is not None  # noqa: S101 - the protocol opens a sink first
        return self._writer

    def open(self, camera: str, description: CameraDescription) -> ResumePoint:  # noqa: ARG002 - the store knows it
        """Takes the camera's lock; returns what is committed already.

        Raises:
            StoreExistsError: the camera was written before, and is not to be resumed.
            StoreResumeError: it was written without the state of its tracker.
            StoreLockedError: another writer holds the camera.
            StoreError: there is no store, or it cannot be written.
        """
        self._writer = CameraWriter(self._path, camera, self._config, resume=self._resume)
        found = self._writer.earlier
        return ResumePoint(found.ledger, found.finished, found.epoch, found.tracker, found.tracks)

    def write(self, tracked: TrackedFrame) -> None:
        """Appends the frame; starts an epoch in the store where the camera does. Commits when a shard is full.

        Raises:
            InstancesError: the masks are missing or do not fit the epoch's images.
            StoreError: the store cannot be written; what was committed before is safe.
        """
        frame = tracked.frame
        self._start_epoch_of(tracked)
        self.writer.append(frame.frame_index, frame.timestamp_ns, tracked.tracks, tracked.tracker)

    def _start_epoch_of(self, tracked: TrackedFrame) -> None:
        frame, tracks, epoch = tracked.frame, tracked.tracks, self.writer.epoch
        if epoch is None or epoch.epoch != frame.epoch:
            self.writer.start_epoch(
                frame.epoch,
                frame.image_size,
                frame.clock,
                self._known(frame),
                propagated=tracks.instances.since_detected_ns is not None,
                distances=tracks.distances is not None,
            )

    def _known(self, frame: Frame) -> dict[str, Any]:
        """Returns the properties of an epoch that a calibration adds."""
        if self._calibration is None:
            return {}
        return {"calibration": self._calibration.for_images(frame.image_size).to_dict()}

    def lost(self, item: LostFrame) -> None:
        """Counts the frame in the camera's ledger."""
        self.writer.count_lost(item.outcome, item.reason)

    def commit(self) -> None:
        """Makes everything that was written readable, and safe from a crash.

        Raises:
            StoreError: the store cannot be written; what was committed before still opens.
        """
        self.writer.commit()

    def close(self, captured: int | None) -> None:
        """Commits; with `captured`, also writes the final ledger, after which the camera cannot be resumed.

        Raises:
            LedgerError: frames went missing; everything that came is committed.
            StoreError: the store cannot be written; what was committed before still opens.
        """
        if captured is None:
            self.writer.suspend()
        else:
            self.writer.close(captured)

    def abort(self) -> None:
        """Commits what it can and releases the camera's lock."""
        if self._writer is not None:
            self._writer.abandon()
