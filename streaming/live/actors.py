"""The processes of a live run: thin shells around plain classes.

Ray starts an actor again when it dies; it is then empty, and says so until it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from roadmask.engines import Instances, Segmenter, SegmenterInfo
from roadmask.engines.errors import RunError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.address import Address
from roadmask.streaming.live.batching import EngineNote, LiveBatcher, Timing
from roadmask.streaming.live.picture import PictureMaker
from roadmask.streaming.live.reader import FrameNote, LiveReader, ReaderStatus
from roadmask.streaming.live.recorder import LiveRecorder, Outcome
from roadmask.streaming.live.storing import Losses
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.ray_actors import Actor
from roadmask.streaming.runner import build_tracker
from roadmask.streaming.segmentation import Segmentation, segment_each
from roadmask.streaming.store import CameraWriter


class NotOpenError(RunError):
    """The actor was started again and is empty."""


class ReaderActor(Actor):
    """Reads one camera."""

    _reader: LiveReader | None = None

    def open(self, address: Address, counts: Path) -> int:
        """Starts to read; returns the process's id."""
        if self._reader is not None:
            self._reader.close()
        self._reader = LiveReader(address, counts)
        return os.getpid()

    def next(self, timeout_s: float) -> tuple[FrameNote | None, Frame | None]:
        """Returns the newest frame, apart from what there is to know of it."""
        return self._open().next(timeout_s) or (None, None)

    def status(self) -> ReaderStatus:
        """Returns where the camera is."""
        return self._open().status()

    def close(self) -> None:
        """Ends the decoder."""
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> LiveReader:
        if self._reader is None:
            raise NotOpenError("this process was started again: open it first.")
        return self._reader


class SegmenterActor(Actor):
    """Batches the frames of all cameras."""

    _batcher: LiveBatcher | None = None

    async def open(
        self, build: Callable[[], Segmenter], cameras: int, budget_ms: float | None
    ) -> tuple[SegmenterInfo, int]:
        """Builds the engine; returns what it is, and the process's id."""
        segmenter = build()
        self._batcher = LiveBatcher(
            lambda images: segment_each(segmenter, images), segmenter.warm_up, cameras, budget_ms
        )
        return segmenter.info, os.getpid()

    async def segment(self, frame: Frame, taken_ns: int) -> tuple[EngineNote, Segmentation | None]:
        """Returns what is in a frame, apart from what became of it."""
        return await self._open()(frame.camera, frame.image, taken_ns)

    async def timing(self) -> Timing | None:
        """Returns how fast the engine is; None before the first frame."""
        return self._open().timing

    def _open(self) -> LiveBatcher:
        if self._batcher is None:
            raise NotOpenError("this process was started again: open it first.")
        return self._batcher


class RecorderActor(Actor):
    """Follows, draws and stores one camera."""

    _recorder: LiveRecorder | None = None

    def open(
        self,
        camera: str,
        config: RunConfig,
        class_names: dict[int, str],
        store: Path | None,
        floor_bytes: int,
    ) -> tuple[int, int]:
        """Begins or goes on; returns the frames that are in the store, and the process's id."""
        writer = None if store is None else CameraWriter(store, camera, config.store, resume=True)
        track = TrackStage(build_tracker(config), config.ignore_region(camera))
        pictures = PictureMaker(class_names)
        self._recorder = LiveRecorder(writer, track, class_names, pictures, floor_bytes=floor_bytes)
        return self._recorder.committed, os.getpid()

    def push(self, frame: Frame, found: Instances, losses: Losses, show: bool) -> Outcome:
        """Takes the next frame."""
        return self._open().push(frame, found, losses, show=show)

    def tick(self, losses: Losses) -> Outcome:
        """Commits what is due."""
        return self._open().tick(losses)

    def finish(self) -> Outcome:
        """Decides what waits."""
        return self._open().finish()

    def close(self, captured: int, losses: Losses) -> Ledger | None:
        """Closes the camera's store."""
        return self._open().close(captured, losses)

    def abandon(self) -> None:
        """Commits what it can."""
        if self._recorder is not None:
            self._recorder.abandon()

    def _open(self) -> LiveRecorder:
        if self._recorder is None:
            raise NotOpenError("this process was started again: open it first.")
        return self._recorder
