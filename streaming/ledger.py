"""Where every captured frame went.

Captured frames are counted where they are read, outcomes where they are written. Two independent counts of the same
frames: if they do not add up, frames went missing in between, and the run must say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roadmask.engines.errors import LedgerError, StoreCorruptError


@dataclass
class Ledger:
    """The counts of one camera."""

    captured: int = 0
    """Frames that left the source, counted there."""
    stored: int = 0
    """Frames whose tracks were handed to the store."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> frames left out on purpose, such as a live camera's oldest frame."""
    failed: dict[str, int] = field(default_factory=dict)
    """Reason -> frames that could not be used: `decode`, `engine`, ..."""

    @property
    def accounted(self) -> int:
        """Frames whose outcome is known."""
        return self.stored + sum(self.dropped.values()) + sum(self.failed.values())

    def check(self, camera: str) -> None:
        """Compares what was captured with what became of it.

        Raises:
            LedgerError: the two differ.
        """
        if self.captured != self.accounted:
            missing = self.captured - self.accounted
            what = f"{missing} frames went missing" if missing > 0 else f"{-missing} frames were counted twice"
            raise LedgerError(
                f"camera {camera!r}: expected {self.captured} captured frames to be accounted for, got "
                f"{self.accounted} ({self}); {what} between the camera and the store. What is stored is safe, but do "
                f"not rely on it being complete: run the camera again and report this as a bug if it repeats."
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
            StoreCorruptError: a count is missing or is not a number of frames.
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
