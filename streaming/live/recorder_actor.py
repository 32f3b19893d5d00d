"""The process that follows, draws and stores a live camera: a thin shell.

It is empty until it is opened, and says so. Opening it goes on at the last commit of one that died.
"""

from __future__ import annotations

import os
from pathlib import Path

from roadmask.engines import Instances
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.image import ImageMaker
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.recorder import LiveRecorder, Outcome
from roadmask.streaming.live.storing import Losses
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.ray_actors import Actor, NotOpenError
from roadmask.streaming.recording.recorder import build_tracker
from roadmask.streaming.store import CameraWriter


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
        keep: Keep | None,
    ) -> tuple[int, int]:
        """Begins or goes on; returns the frames that are in the store, and the process's id."""
        writer = None if store is None else CameraWriter(store, camera, config.store, resume=True)
        track = TrackStage(build_tracker(config), config.ignore_region(camera))
        images = ImageMaker(class_names)
        self._recorder = LiveRecorder(writer, track, class_names, images, floor_bytes=floor_bytes, keep=keep)
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
            raise NotOpenError("this process is empty: open it first.")
        return self._recorder
