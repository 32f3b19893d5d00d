"""Where `roadmask run` writes if nobody says where: beside the recording, under a name that is free."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sources.arguments import scheme_of
from roadmask.streaming.sources.files import is_glob, split_query

_SEVERAL = "drive"
"""Name of the store of several cameras, or of a source that is no file."""


@dataclass(frozen=True)
class Outputs:
    """The paths that a run writes to."""

    store: Path
    """Path of the store."""
    overlay: Path
    """Path of the overlay video; with several cameras, one video for each is derived from it."""


def free_outputs(jobs: Sequence[CameraJob]) -> Outputs:
    """Returns the first store beside the recording that does not exist yet: my.zarr, then my-2.zarr, and so on.

    Nothing is overwritten: a name whose overlay video exists already is passed over, too.
    """
    return next(each for each in _names(jobs) if not any(map(os.path.lexists, (each.store, *_videos(each, jobs)))))


def resumed_store(jobs: Sequence[CameraJob]) -> Path | None:
    """Returns the newest store that earlier runs without `--out` left for these sources; None if there is none."""
    newest = None
    for each in _names(jobs):
        if not each.store.exists():
            return newest
        newest = each.store
    return newest


def _names(jobs: Sequence[CameraJob]) -> Iterator[Outputs]:
    folder, stem = _place(jobs)
    for number in count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        yield Outputs(folder / f"{name}.zarr", folder / f"{name}-masks.mp4")


def _videos(outputs: Outputs, jobs: Sequence[CameraJob]) -> list[Path]:
    overlay = outputs.overlay
    return [overlay, *(overlay.with_name(f"{overlay.stem}.{job.camera}{overlay.suffix}") for job in jobs)]


def _place(jobs: Sequence[CameraJob]) -> tuple[Path, str]:
    """Returns the folder of the first source, or the current one if it cannot be written, and the name of the store."""
    spec = jobs[0].specs[0]
    if scheme_of(spec) is not None:
        return Path(), _SEVERAL
    path = Path(split_query(spec)[0])
    if is_glob(str(path)):
        path = next(folder for folder in path.parents if not is_glob(str(folder)))
    path = path if path.name else path.resolve()  # a folder given as `.`
    folder = path.parent if os.access(path.parent, os.W_OK) else Path()
    return folder, (path.name if path.is_dir() else path.stem) if len(jobs) == 1 else _SEVERAL
