"""Outcomes of drives, and the notes of them beside the stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from roadmask.engines.errors import StoreError
from roadmask.engines.files import flush, write_atomically

NOTES = ".batch"
"""Folder beside the stores with a note for each finished drive and a mark for each drive being recorded."""

Status = Literal["stored", "incomplete", "failed", "locked", "interrupted", "waiting", "left out"]
"""stored: all frames are stored; incomplete: some frames failed; failed: there is no complete store; locked: another
process writes the store; interrupted: the recording was stopped; waiting: the recording did not start; left out: a
video that is not recorded, such as a copy of low resolution."""


@dataclass(frozen=True)
class DriveOutcome:
    """Outcome of a drive."""

    drive: str
    """Name of the drive."""
    status: Status
    """State of its store."""
    reason: str = ""
    """Why the status is not `stored`; without credentials."""
    store_failed: bool = False
    """Whether the store failed, and not a source or the engine."""
    cameras: int = 0
    """Number of cameras."""
    frames: int = 0
    """Number of stored frames of all cameras."""
    lost: dict[str, int] = field(default_factory=dict)
    """Reason -> number of frames that are not stored."""
    tracks: dict[str, int] = field(default_factory=dict)
    """Class name -> number of tracks."""
    video_s: float = 0.0
    """Length of the longest camera in seconds."""
    started: float = 0.0
    """Start of the recording as Unix time in seconds; 0 if this batch did not record the drive."""
    seconds: float = 0.0
    """Duration of the recording in seconds, with the start of the engine."""
    stored_bytes: int = 0
    """Size of the store in bytes."""
    files: int = 0
    """Number of files of the store."""
    width: int = 0
    """Width of the first camera's first image in pixels."""
    height: int = 0
    """Height of the first camera's first image in pixels."""
    host: str = ""
    """Name of the machine that recorded the drive."""
    attempts: int = 1
    """Number of workers that the drive was given to, one after the other."""
    skipped: bool = False
    """Whether the drive was finished before this batch."""
    thumbnail: str = ""
    """JPEG in base64 that shows a frame with its masks."""

    @property
    def good(self) -> bool:
        """Whether all frames are stored."""
        return self.status == "stored"

    def record(self) -> dict[str, str | int | float | bool | None]:
        """Returns a flat record for `--json`."""
        record = asdict(self)
        del record["thumbnail"], record["store_failed"]
        record["lost"] = ", ".join(f"{count} {reason}" for reason, count in self.lost.items())
        record["tracks"] = ", ".join(f"{count} {name}" for name, count in self.tracks.items())
        record["fps"] = round(self.frames / self.seconds, 3) if self.seconds else None
        return record


def read_note(text: str) -> tuple[DriveOutcome | None, Any]:
    """Returns the outcome in a note and what the drive was made of; None for both if the note is damaged."""
    try:
        note = json.loads(text)
        return DriveOutcome(**note["outcome"]), note["made_of"]
    except (ValueError, KeyError, TypeError):
        return None, None


class Notes:
    """Notes beside the stores of one folder.

    The note of a drive states the files and settings that its store was made of, so that a finished drive is
    recognised without reading its files. A drive has a mark while it is recorded: a mark without a running batch
    means that the recording was interrupted.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._folder = out / NOTES

    def finished(self, drive: str, made_of: Mapping[str, Any]) -> DriveOutcome | None:
        """Returns the outcome of a drive if it was finished with the same files and settings, else None."""
        if not (self.out / f"{drive}.zarr").is_dir() or self.unfinished(drive):
            return None
        outcome, before = self.read(drive)
        return replace(outcome, skipped=True, started=0.0) if outcome and before == made_of else None

    def read(self, drive: str) -> tuple[DriveOutcome | None, Any]:
        """Returns the last outcome of a drive and what it was made of; None for both if there is no note."""
        try:
            return read_note((self._folder / f"{drive}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None, None

    def unfinished(self, drive: str) -> bool:
        """Returns whether a recording of the drive was started and not finished."""
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
        """Writes the note of a finished drive, then removes its mark."""
        path = self._folder / f"{outcome.drive}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"outcome": asdict(outcome), "made_of": made_of}), sync=True)
            (self._folder / f"{outcome.drive}.unfinished").unlink(missing_ok=True)
            flush(self._folder)
        except OSError as error:
            raise self._refused(error) from error

    def require_writable(self) -> None:
        """Checks that the folder can be written, with a file of one megabyte that is removed again.

        Raises:
            StoreError: the folder cannot be written, or is full.
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
            f"cannot write to {self.out}: {error.strerror or error} ({error.filename}). Finished drives are safe. Make "
            "room or choose a writable folder, then run the same command again."
        )
