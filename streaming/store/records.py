"""What a reader hands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """One stored frame of a camera."""

    position: int
    """Place among the stored frames of the camera, from 0, over all epochs."""
    frame_index: int
    """Capture count of the camera; higher than the position where frames were lost."""
    timestamp_ns: int
    """Capture time in the clock of its epoch."""
    epoch: int
    """Stretch of the camera it belongs to."""
    instances: Instances
    """N instances with exact masks, in the order they were written."""
    track_ids: NDArray[np.int64]
    """(N,) 0 where an instance belongs to no track."""
    states: NDArray[np.uint8]
    """(N,) `TrackState`."""

    def __len__(self) -> int:
        return len(self.instances)


@dataclass(frozen=True, eq=False)
class Sighting:
    """One frame of a track."""

    position: int
    """Place of the frame among the stored frames of the camera."""
    frame_index: int
    """Capture count of the frame."""
    timestamp_ns: int
    """Capture time in the clock of its epoch."""
    epoch: int
    """Stretch of the camera it belongs to."""
    box: NDArray[np.float32]
    """(4,) x1, y1, x2, y2 in pixels."""
    score: float
    """Confidence, 0 to 1."""
    category_id: int
    """COCO category id."""
    state: int
    """`TrackState`."""
    mask: RleMasks
    """The one mask."""


@dataclass(frozen=True, eq=False)
class TrackView(Sequence[Sighting]):
    """All sightings of a track, in the order of time."""

    track_id: int
    """Unique within the camera."""
    category_id: int
    """COCO category id it was seen as most often."""
    class_name: str
    """Name of that class."""
    sightings: tuple[Sighting, ...]
    """One for each frame it was seen in."""

    def __len__(self) -> int:
        return len(self.sightings)

    @overload
    def __getitem__(self, index: int) -> Sighting: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sighting, ...]: ...
    def __getitem__(self, index: int | slice) -> Sighting | tuple[Sighting, ...]:
        return self.sightings[index]

    def __repr__(self) -> str:
        return f"TrackView({self.class_name} {self.track_id}, {len(self)} frames)"


@dataclass(frozen=True)
class TrackSummary:
    """A track without its masks."""

    track_id: int
    """Unique within the camera."""
    category_id: int
    """COCO category id it was seen as most often."""
    class_name: str
    """Name of that class."""
    frames: int
    """Frames it was seen in."""
    first_position: int
    """Place of its first frame among the stored frames of the camera."""
    last_position: int
    """Place of its last frame."""
    first_timestamp_ns: int
    """Capture time of its first frame."""
    last_timestamp_ns: int
    """Capture time of its last frame, in the clock of that frame's epoch."""
