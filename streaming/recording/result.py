"""The progress and the result of a recorded run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from roadmask.streaming.ledger import Ledger


@dataclass
class CameraProgress:
    """How far the recording of a camera has come."""

    frames: int = 0
    """Frames that reached the recorder, including lost and failed ones."""
    tracks: dict[int, int] = field(default_factory=dict)
    """Number of confirmed tracks so far, by category id."""
    frames_expected: int | None = None
    """Estimated total number of frames to record; None where the source does not state its length."""


@dataclass(frozen=True)
class CameraResult:
    """The outcome of recording one camera."""

    camera: str
    """Name of the camera."""
    ledger: Ledger
    """The outcome of every captured frame."""
    progress: CameraProgress
    """The last progress of the camera."""
    failures: dict[str, int]
    """The engine's error messages -> number of frames that failed with each."""
    problem: str | None = None
    """Why reading stopped before the end of the source; None if it did not."""


@dataclass(frozen=True)
class RunResult:
    """The result of a recorded run."""

    cameras: list[CameraResult] = field(default_factory=list)
    """One result for each camera, in the order of the jobs."""
    interrupted: bool = False
    """Whether the run was stopped before its sources ended."""
    finished_before: bool = False
    """Whether an earlier run had stored everything already, so that there was nothing to do."""

    @property
    def exit_code(self) -> int:
        """0 if all frames were stored that a player shows, 3 if some failed or a source broke, 130 if interrupted."""
        if self.interrupted:
            return 130
        return 3 if any(camera.ledger.failed or camera.problem for camera in self.cameras) else 0


ProgressCallback = Callable[[dict[str, CameraProgress]], None]
"""Called with the progress of each camera: before anything is written, then several times a second."""
