"""What became of a drive, and the note of it that lies beside the stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from roadmask.engines.errors import StoreError
from roadmask.engines.files import flush, write_atomically

NOTES = ".batch"
"""Folder beside the stores: a note for each finished drive, and a mark for each that is being recorded."""

Status = Literal["stored", "incomplete", "failed", "locked", "interrupted", "waiting"]
"""stored: every frame; incomplete: some frames failed; failed: no store; locked: another process writes to it."""


@dataclass(frozen=True)
class DriveOutcome:
    """What became of a drive."""

    drive: str
    status: Status
    reason: str = ""
    """Why it is not `stored`."""
    store_failed: bool = False
    """Whether it was the store that failed, and not what was read."""
    cameras: int = 0
    frames: int = 0
    """Stored frames of all cameras."""
    lost: dict[str, int] = field(default_factory=dict)
    """Reason -> frames that are not stored."""
    tracks: dict[str, int] = field(default_factory=dict)
    """Class -> tracks."""
    video_s: float = 0.0
    """Length of the longest camera."""
    started: float = 0.0
    """Unix time in seconds; 0 where it was not recorded now."""
    seconds: float = 0.0
    """From its start to its end, starting up included."""
    stored_bytes: int = 0
    files: int = 0
    width: int = 0
    height: int = 0
    """Of the first camera's first image."""
    host: str = ""
    attempts: int = 1
    skipped: bool = False
    """Whether it was finished before."""
    thumbnail: str = ""
    """A JPEG in base64 that shows a frame with its masks."""

    @property
    def good(self) -> bool:
        """Whether every frame is stored."""
        return self.status == "stored"

    def record(self) -> dict[str, str | int | float | bool | None]:
        """Returns a flat record of it, as `--json` writes it."""
        record = asdict(self)
        del record["thumbnail"], record["store_failed"]
        record["lost"] = ", ".join(f"{count} {reason}" for reason, count in self.lost.items())
        record["tracks"] = ", ".join(f"{count} {name}" for name, count in self.tracks.items())
        record["fps"] = round(self.frames / self.seconds, 3) if self.seconds else None
        return record


def read_note(text: str) -> tuple[DriveOutcome | None, Any]:
    """Returns what a note says: the outcome and what the drive was made of; None for each where it is damaged."""
    try:
        note = json.loads(text)
        return DriveOutcome(**note["outcome"]), note["made_of"]
    except (ValueError, KeyError, TypeError):
        return None, None


class Notes:
    """The notes beside the stores of one folder.

    A drive's note says from which files and with which settings it was made, so that a finished drive is known again
    without reading its files. A drive's mark lies there while it is recorded: what still has one was interrupted.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._folder = out / NOTES

    def finished(self, drive: str, made_of: Mapping[str, Any]) -> DriveOutcome | None:
        """Returns the outcome of a drive that was finished with the same files and settings."""
        if not (self.out / f"{drive}.zarr").is_dir() or self.unfinished(drive):
            return None
        outcome, before = self.read(drive)
        return replace(outcome, skipped=True, started=0.0) if outcome and before == made_of else None

    def read(self, drive: str) -> tuple[DriveOutcome | None, Any]:
        """Returns the last outcome of a drive and what it was made of; None for each where there is no note."""
        try:
            return read_note((self._folder / f"{drive}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None, None

    def unfinished(self, drive: str) -> bool:
        """Whether a recording of it was begun and not finished."""
        return (self._folder / f"{drive}.unfinished").exists()

    def begin(self, drive: str) -> None:
        """Marks a drive as being recorded."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{drive}.unfinished").touch()
            flush(self._folder)
        except OSError as error:
            raise self._refused(error) from error

    def finish(self, outcome: DriveOutcome, made_of: Mapping[str, Any]) -> None:
        """Notes a finished drive, then takes its mark away."""
        path = self._folder / f"{outcome.drive}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"outcome": asdict(outcome), "made_of": made_of}), sync=True)
            (self._folder / f"{outcome.drive}.unfinished").unlink(missing_ok=True)
            flush(self._folder)
        except OSError as error:
            raise self._refused(error) from error

    def require_writable(self) -> None:
        """Writes a megabyte and removes it again.

        Raises:
            StoreError: that failed.
        """
        trial = self._folder / "trial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                trial.write_bytes(bytes(2**20))
                flush(trial)
            finally:
                trial.unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write to {self.out}: {error.strerror or error} ({error.filename}). What is finished is safe; make "
            "room or choose a folder that you may write to, then run the same command again."
        )
