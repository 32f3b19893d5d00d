"""How the recorder of a live camera is set up, and what is left of the camera in the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.store.layout import read_attributes


@dataclass(frozen=True)
class RecorderSettings:
    """What a recorder needs."""

    config: RunConfig
    class_names: dict[int, str]
    store: Path | None
    floor_bytes: int
    keep: Keep | None
    show: bool
    """Whether anybody looks at images."""


@dataclass(frozen=True)
class CameraEnd:
    """What became of a camera."""

    camera: str
    ledger: Ledger
    """Frames that were only watched count as dropped here."""
    watched: int
    state: CameraState
    detail: str
    problem: RoadmaskError | None = None
    """Why its store is not whole."""


def committed_frames(folder: Path) -> int:
    """Returns how many frames of a camera are committed; 0 where its store cannot be read."""
    try:
        attributes = read_attributes(folder)
        committed = sum(int(each["frames"]) for each in attributes["committed"].values())
        return committed + int(attributes.get("removed", 0))
    except (StoreError, KeyError, TypeError):
        return 0
