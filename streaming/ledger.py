"""Where every captured frame went.

Captured frames are counted where they are read, outcomes where they are written. These are two independent counts of
the same frames: if they do not add up, frames went missing in between, and the run must say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from roadmask.engines.errors import LedgerError, StoreCorruptError

BEFORE_KEYFRAME, DECODE = "before_keyframe", "decode"
"""Reason of a dropped frame that needs frames from before the first keyframe, which no player shows, and of a failed
frame that could not be decoded."""
FrameState = Literal["stored", "dropped", "failed"]
"""How a captured frame can end: in the store, left out on purpose, or unusable."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one captured frame."""

    frame_index: int
    """Capture count of the camera from 0."""
    state: FrameState
    """How the frame ended."""
    reason: str = ""
    """Why the frame was dropped or failed; empty for a stored frame."""
    monotonic_ns: int | None = None
    """Time of the outcome in nanoseconds of this machine's monotonic clock; None where it is not measured."""


@dataclass
class Ledger:
    """The counts of the outcomes of one camera's frames."""

    captured: int = 0
    """Number of frames that left the source, counted there."""
    stored: int = 0
    """Number of frames whose tracks were handed to the store."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> number of frames left out on purpose, such as the oldest frame of a live camera."""
    failed: dict[str, int] = field(default_factory=dict)
    """Reason (`decode`, `engine`, ...) -> number of frames that could not be used."""
    in_flight: int = 0
    """Number of frames whose outcome is not known yet; always 0 in a store, and after the end of a camera."""

    @property
    def accounted(self) -> int:
        """Number of frames whose outcome is known."""
        return self.stored + sum(self.dropped.values()) + sum(self.failed.values())

    @property
    def missing(self) -> int:
        """Number of captured frames that are neither accounted for nor in flight; anything but 0 is a bug."""
        return self.captured - self.accounted - self.in_flight

    def add(self, outcome: Outcome) -> None:
        """Counts one more outcome."""
        if outcome.state == "stored":
            self.stored += 1
        else:
            self.lose(outcome.state, outcome.reason)

    def lose(self, state: Literal["dropped", "failed"], reason: str, frames: int = 1) -> None:
        """Counts frames that were dropped or failed; a reason that is left with no frames disappears.

        Args:
            state: how the frames ended.
            reason: why the frames were dropped or failed.
            frames: number of frames to add; negative if some turn out not to be lost.
        """
        counts = self.dropped if state == "dropped" else self.failed
        counts[reason] = counts.get(reason, 0) + frames
        if counts[reason] == 0:
            del counts[reason]

    def __add__(self, other: Ledger) -> Ledger:
        """Returns the sum of two counts of different frames; reasons without frames are left out."""
        total = Ledger(
            self.captured + other.captured, self.stored + other.stored, in_flight=self.in_flight + other.in_flight
        )
        for ledger in (self, other):
            for reason, frames in ledger.dropped.items():
                total.lose("dropped", reason, frames)
            for reason, frames in ledger.failed.items():
                total.lose("failed", reason, frames)
        return total

    def check(self, camera: str) -> None:
        """Compares the number of captured frames with the number of known outcomes.

        Args:
            camera: name of the camera, for the message.

        Raises:
            LedgerError: the two numbers differ.
        """
        if self.captured != self.accounted:
            missing = self.captured - self.accounted
            what = f"{missing} frames went missing" if missing > 0 else f"{-missing} frames were counted twice"
            raise LedgerError(
                f"camera {camera!r}: expected {self.captured} captured frames to be accounted for, got "
                f"{self.accounted} ({self}); {what} between the camera and the store. What is stored is safe but may "
                f"be incomplete: run the camera again, and report this as a bug if it happens again."
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data, reasons in alphabetical order."""
        return {
            "captured": self.captured,
            "stored": self.stored,
            "dropped": dict(sorted(self.dropped.items())),
            "failed": dict(sorted(self.failed.items())),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """Reads what `to_dict` wrote.

        Raises:
            StoreCorruptError: a count is missing or is not a non-negative integer.
        """
        try:
            return cls(
                _count(data["captured"]),
                _count(data["stored"]),
                {str(reason): _count(count) for reason, count in data["dropped"].items()},
                {str(reason): _count(count) for reason, count in data["failed"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreCorruptError(f"expected a ledger of counts by state and reason, got {data!r}.") from error

    def __str__(self) -> str:
        parts = [f"{self.stored} stored"]
        parts += [f"{count} dropped: {reason}" for reason, count in sorted(self.dropped.items())]
        parts += [f"{count} failed: {reason}" for reason, count in sorted(self.failed.items())]
        return ", ".join(parts)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value
