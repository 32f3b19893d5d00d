"""Resumes a camera: what an earlier run committed, and the state of its tracker at the last commit.

A commit stores the tracker as it was right after the last stored frame, in a file named after the number of frames
accounted for. The attributes that publish the commit give the same number, so the two always match, whenever a run is
killed. A finished camera has no such file.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from roadmask.engines.errors import StoreCorruptError, StoreResumeError
from roadmask.engines.files import PARTIAL
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.sources.files import without_names
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.epoch_reader import EpochReader
from roadmask.tracking import TrackerState, TrackState

_TRACKER_FILES = ".tracker-*.safetensors"
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """What an earlier run committed of a camera; nothing by default."""

    ledger: Ledger = field(default_factory=Ledger)
    """Outcomes of its frames; `accounted` items of its source need not be read again."""
    finished: bool = False
    """Whether its source was read to the end."""
    epochs: Sequence[EpochReader] = ()
    """Committed epochs."""
    removed: int = 0
    """Number of frames that were stored and removed again."""
    tracker: Arrays | None = None
    """State of the tracker after the last stored frame; None before the first frame and for a finished camera."""

    @property
    def epoch(self) -> int | None:
        """Number of the epoch of the last frame; None before the first frame."""
        return max((epoch.info.epoch for epoch in self.epochs if len(epoch)), default=None)

    @property
    def last_index(self) -> int:
        """Capture count of the last stored frame; -1 before the first frame."""
        return max((int(epoch.frame_index[-1]) for epoch in self.epochs if len(epoch)), default=-1)

    @cached_property
    def tracks(self) -> dict[int, int]:
        """Id of each confirmed track -> its category id in its first frame."""
        category_of: dict[int, int] = {}
        for epoch in self.epochs:
            known = epoch.read("instances/state") == TrackState.CONFIRMED
            for track_id, category_id in zip(
                epoch.track_id[known].tolist(), epoch.category_id[known].tolist(), strict=True
            ):
                category_of.setdefault(track_id, category_id)
        return category_of

    def tracker_state(self) -> TrackerState | None:
        """Returns the state in the form of a tracker's, since the next commit may come before the next frame."""
        return None if self.tracker is None else _StoredState(self.tracker)


@dataclass(frozen=True, eq=False)
class _StoredState:
    arrays: Arrays

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return dict(self.arrays)


def tracker_file(accounted: int) -> str:
    """Returns the name of the file with the tracker's state in the folder of its camera."""
    return _TRACKER_FILES.replace("*", str(accounted))


def tracker_bytes(state: TrackerState) -> bytes:
    """Serialises a state as safetensors, which hold arrays and no code."""
    return safetensors.numpy.save({name: np.asarray(values, order="C") for name, values in state.to_arrays().items()})


def remove_trackers(folder: Path, keep: str = "") -> None:
    """Removes the states of earlier commits."""
    for path in folder.glob(_TRACKER_FILES):
        if path.name != keep:
            path.unlink(missing_ok=True)


def committed_camera(folder: Path) -> EarlierRun:
    """Reads what is committed of a camera, and removes what was written after its last commit.

    Raises:
        StoreResumeError: there are frames but no state of the tracker.
        StoreCorruptError: the camera cannot be read.
    """
    for path in folder.rglob(f"*{PARTIAL}"):
        path.unlink(missing_ok=True)
    camera = CameraReader(folder, {})
    known = {str(epoch.info.epoch) for epoch in camera.epochs}
    for path in folder.iterdir():
        if path.name.isdecimal() and path.name not in known:
            shutil.rmtree(path)  # an epoch that no commit refers to
    tracker = None
    if not camera.complete and len(camera):
        tracker = _read_tracker(folder / tracker_file(camera.ledger.accounted))
    return EarlierRun(camera.ledger, camera.complete, camera.epochs, camera.removed, tracker)


def require_same(stored: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Checks that a store is resumed with the settings it was created with.

    The number of threads may differ, and so may the names of the files of a source.

    Args:
        stored: attributes of the store.
        now: attributes that a new store would get.
        path: folder of the store, for the message.

    Raises:
        StoreResumeError: a setting that affects the result differs; the message names it.
    """
    cameras, cameras_now = sorted(stored.get("sources", ())), sorted(now["sources"])
    if cameras and cameras != cameras_now:
        raise StoreResumeError(
            f"cannot resume {path}: it was created with other cameras: expected {', '.join(cameras)}, got "
            f"{', '.join(cameras_now)}. Name each camera as before, such as {cameras[0]}=VIDEO."
        )
    was, would_be = _decisive(stored), _decisive(now)
    differing = [
        f"{name} was {was.get(name, 'not set')}, is now {would_be.get(name, 'not set')}"
        for name in sorted(was.keys() | would_be.keys())
        if name != "config.engine.threads" and was.get(name) != would_be.get(name)
    ]
    if differing:
        more = f"; and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise StoreResumeError(
            f"cannot resume {path}: it was created with different settings: {'; '.join(differing[:5])}{more}. Run with "
            f"the original settings, or start again with another --out."
        )


def _decisive(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the attributes that decide the result, each value under its path."""
    return dict(_leaves({**attributes, "sources": without_names(attributes.get("sources", {}))}))


def _leaves(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _read_tracker(path: Path) -> Arrays:
    try:
        return safetensors.numpy.load(path.read_bytes())
    except FileNotFoundError:
        raise StoreResumeError(
            f"cannot resume without the state of the tracker: expected it at {path}, found none. Start again with "
            f"another --out."
        ) from None
    except (OSError, SafetensorError) as error:
        raise StoreCorruptError(
            f"cannot read {path}: {error}. The stored frames can be read; start again with another --out."
        ) from error
