"""What a run that ended early left of a camera, and the state of its tracker at the last commit.

A commit keeps the tracker as it was right after the last frame that it stored, in a file named by the frames that were
accounted for by then. The attributes that make the commit count give the same number, so that the two always belong
together whatever happens in between; a camera that is finished keeps none.
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
from roadmask.streaming.store.epoch import EpochReader
from roadmask.streaming.store.reader import CameraReader
from roadmask.tracking import TrackerState, TrackState

_TRACKER_FILES = ".tracker-*.safetensors"
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Begun:
    """What is committed of a camera; nothing by default."""

    ledger: Ledger = field(default_factory=Ledger)
    """Where its frames went so far. `accounted` is how many items of its source need not be read again."""
    finished: bool = False
    """Whether its source was read to the end."""
    epochs: Sequence[EpochReader] = ()
    """Its epochs so far."""
    removed: int = 0
    """Frames that were stored and removed again."""
    tracker: Arrays | None = None
    """State of the tracker after the last stored frame; None before the first one, and once it is finished."""

    @property
    def epoch(self) -> int | None:
        """The epoch of the last frame, if there was one."""
        return max((epoch.info.epoch for epoch in self.epochs if len(epoch)), default=None)

    @property
    def last_index(self) -> int:
        """Capture count of the last stored frame, -1 before the first one."""
        return max((int(epoch.frame_index[-1]) for epoch in self.epochs if len(epoch)), default=-1)

    @cached_property
    def tracks(self) -> dict[int, int]:
        """Id of each confirmed track -> its category id when it was first seen."""
        category_of: dict[int, int] = {}
        for epoch in self.epochs:
            known = epoch.read("instances/state") == TrackState.CONFIRMED
            for track_id, category_id in zip(
                epoch.track_id[known].tolist(), epoch.category_id[known].tolist(), strict=True
            ):
                category_of.setdefault(track_id, category_id)
        return category_of

    def tracker_state(self) -> TrackerState | None:
        """Returns the state as a tracker gives it: the next commit may come before the next frame."""
        return None if self.tracker is None else _StoredState(self.tracker)


@dataclass(frozen=True, eq=False)
class _StoredState:
    arrays: Arrays

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return dict(self.arrays)


def tracker_file(accounted: int) -> str:
    """Returns the name of the tracker's file in the folder of its camera."""
    return _TRACKER_FILES.replace("*", str(accounted))


def tracker_bytes(state: TrackerState) -> bytes:
    """Returns a state as safetensors: plain arrays, never code."""
    return safetensors.numpy.save({name: np.asarray(values, order="C") for name, values in state.to_arrays().items()})


def remove_trackers(folder: Path, keep: str = "") -> None:
    """Removes the states of commits that no longer count."""
    for path in folder.glob(_TRACKER_FILES):
        if path.name != keep:
            path.unlink(missing_ok=True)


def begun_camera(folder: Path) -> Begun:
    """Looks at a camera that was begun, and removes what was written after its last commit.

    Raises:
        StoreResumeError: there are frames, but no state of their tracker.
        StoreCorruptError: the camera cannot be read.
    """
    for path in folder.rglob(f"*{PARTIAL}"):
        path.unlink(missing_ok=True)
    camera = CameraReader(folder, {})
    known = {str(epoch.info.epoch) for epoch in camera.epochs}
    for path in folder.iterdir():
        if path.name.isdecimal() and path.name not in known:
            shutil.rmtree(path)  # an epoch that no commit speaks of
    tracker = None
    if not camera.complete and len(camera):
        tracker = _read_tracker(folder / tracker_file(camera.ledger.accounted))
    return Begun(camera.ledger, camera.complete, camera.epochs, camera.removed, tracker)


def require_same(stored: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuses to go on with a store under other conditions than those it was begun with.

    Args:
        stored: attributes of the store.
        now: attributes that a new store would get.
        path: of the store, for the message.

    Raises:
        StoreResumeError: something that decides what is stored differs; the message says what.
    """
    was, would_be = dict(_leaves(stored)), dict(_leaves(now))
    differing = [
        f"{name} was {was.get(name, 'not there')}, now {would_be.get(name, 'not there')}"
        for name in sorted(was.keys() | would_be.keys())
        if name != "config.engine.threads" and was.get(name) != would_be.get(name)
    ]
    if differing:
        more = f"; and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise StoreResumeError(
            f"cannot go on with {path}, it was begun otherwise: {'; '.join(differing[:5])}{more}. Run with what it was "
            f"begun with, or start anew with another --out."
        )


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
            f"expected the state of the tracker at {path}, found none: what "
            f"did not come from roadmask run cannot be gone on with. Start anew with another --out."
        ) from None
    except (OSError, SafetensorError) as error:
        raise StoreCorruptError(f"cannot read {path}: {error}. What is stored opens; start anew elsewhere.") from error
