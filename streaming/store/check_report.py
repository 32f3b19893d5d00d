"""The report of a check of a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MAX_PROBLEMS = 100
"""Maximum number of reported problems; further ones are only counted."""


@dataclass(frozen=True)
class Problem:
    """One problem of a store."""

    what: str
    """Description: what was expected and what was found."""
    camera: str | None = None
    """Name of the camera; None for the whole drive."""
    epoch: int | None = None
    """Number of the epoch; None for the whole camera."""
    frame: int | None = None
    """Position among the frames of the epoch; None where it concerns no single frame."""
    path: Path | None = None
    """Broken file, relative to the store; None where it is not known."""

    def __str__(self) -> str:
        place = [
            self.camera or "",
            f"epoch {self.epoch}" if self.epoch is not None else "",
            f"frame {self.frame}" if self.frame is not None else "",
            f"[{self.path}]" if self.path is not None else "",
        ]
        return f"{' '.join(part for part in place if part) or 'drive'}: {self.what}"


@dataclass
class CheckReport:
    """The findings of a check."""

    path: Path
    """Folder of the store."""
    cameras: int = 0
    """Number of cameras that were checked."""
    frames: int = 0
    """Number of frames that were checked."""
    instances: int = 0
    """Number of instances that were checked."""
    interrupted: bool = False
    """Whether the run that wrote the store was interrupted or killed before it closed every camera."""
    resumable: bool = False
    """Whether an interrupted run can be resumed: a recorded run can, a live run cannot."""
    writer: str | None = None
    """The process that is writing to the store now; None if there is none."""
    problems: list[Problem] = field(default_factory=list)
    """Problems in the order of cameras, epochs and arrays; at most `MAX_PROBLEMS`."""
    suppressed: int = 0
    """Number of further problems."""
    notes: list[str] = field(default_factory=list)
    """Findings that are unusual but no damage: cameras that were not closed, half-written files."""

    def add(self, problem: Problem) -> None:
        """Adds a problem, or counts it once there are `MAX_PROBLEMS`."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.suppressed += 1

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def first_broken_file(self) -> Path | None:
        """First broken file, relative to the store; None where no file is broken."""
        return next((problem.path for problem in self.problems if problem.path is not None), None)
