"""What a check of a store found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MAX_PROBLEMS = 100
"""More than that say no more; the rest is counted."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    what: str
    """What was expected and what came."""
    camera: str | None = None
    epoch: int | None = None
    frame: int | None = None
    """Position among the frames of the epoch."""
    path: Path | None = None
    """The broken file, relative to the store."""

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
    """What the check of a store found."""

    path: Path
    cameras: int = 0
    frames: int = 0
    instances: int = 0
    problems: list[Problem] = field(default_factory=list)
    """At most `MAX_PROBLEMS`, in the order of cameras, epochs and arrays."""
    suppressed: int = 0
    """Problems beyond those."""
    notes: list[str] = field(default_factory=list)
    """What is unusual but not wrong: cameras that were never closed, half-written files."""

    def add(self, problem: Problem) -> None:
        """Notes a problem, or counts it where there are many already."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.suppressed += 1

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.problems

    @property
    def first_broken_file(self) -> Path | None:
        """The first broken file, relative to the store."""
        return next((problem.path for problem in self.problems if problem.path is not None), None)
