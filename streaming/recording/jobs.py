"""What a run is asked to do, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.recorder import CameraProgress, CameraResult
from roadmask.streaming.sources import FrameSource, open_camera


@dataclass(frozen=True)
class CameraJob:
    """One camera of a run."""

    camera: str
    """Its name."""
    specs: tuple[str, ...]
    """Its sources: one, or chapters to be joined by time."""
    overlay: Path | None = None
    """Video to draw the tracks into, if any."""
    opener: Callable[[str, Sequence[str]], FrameSource] = open_camera
    """Opens the sources; tests give another to delay or spoil frames."""

    def open(self) -> FrameSource:
        """Opens the camera.

        Raises:
            SourceError: it cannot be read.
        """
        return self.opener(self.camera, self.specs)


@dataclass(frozen=True)
class CameraProbe:
    """What is known of a camera before the run starts."""

    image_size: tuple[int, int]
    """Height and width of its first image."""
    fps: float | None
    """Frames per second, where the source states them."""
    frames_expected: int | None
    """Length, where the source states it."""
    description: dict[str, Any]
    """What the store keeps of the source."""


def probe(job: CameraJob) -> CameraProbe:
    """Reads the first image of a camera, so that bad input is refused before anything is written.

    Raises:
        SourceError: the source cannot be read or holds no image.
    """
    source = job.open()
    try:
        first = next((item for item in source if isinstance(item, Frame)), None)
        if first is None:
            raise SourceError(
                f"camera {job.camera!r}: no image could be decoded from {', '.join(job.specs)}; "
                "check that it plays elsewhere."
            )
        return CameraProbe(first.image_size, source.fps, source.frames_expected, source.describe())
    finally:
        source.close()


@dataclass(frozen=True)
class RunResult:
    """What a run stored."""

    cameras: list[CameraResult] = field(default_factory=list)
    """In the order of the jobs."""
    interrupted: bool = False
    """Stopped before the sources ended."""
    finished_before: bool = False
    """Nothing was left to do: an earlier run stored all of it."""

    @property
    def exit_code(self) -> int:
        """0 all frames stored, 3 some frames failed, 130 interrupted."""
        if self.interrupted:
            return 130
        lossless = all(camera.ledger.captured == camera.ledger.stored for camera in self.cameras)
        return 0 if lossless and not any(camera.problem for camera in self.cameras) else 3


ProgressCallback = Callable[[dict[str, CameraProgress]], None]
"""Called now and then with the progress of each camera."""
