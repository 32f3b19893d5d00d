"""The records that a reader returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.geometry.distance.distances import Distances


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """One stored frame of a camera."""

    position: int
    """Position among the stored frames of the camera, from 0, over all epochs."""
    frame_index: int
    """Capture count of the camera; above the position where frames were lost."""
    timestamp_ns: int
    """Capture time in nanoseconds on the clock of its epoch."""
    epoch: int
    """Number of its epoch."""
    instances: Instances
    """N instances with exact masks, in the order in which they were written."""
    track_ids: NDArray[np.int64]
    """(N,) track ids; 0 for an instance without a track."""
    states: NDArray[np.uint8]
    """(N,) values of `TrackState`."""
    distances: Distances | None = None
    """Distances of the N instances; None where the camera was not calibrated."""

    def __len__(self) -> int:
        return len(self.instances)


@dataclass(frozen=True, eq=False)
class Sighting:
    """One frame of a track."""

    position: int
    """Position of the frame among the stored frames of the camera."""
    frame_index: int
    """Capture count of the frame."""
    timestamp_ns: int
    """Capture time in nanoseconds on the clock of its epoch."""
    epoch: int
    """Number of its epoch."""
    box: NDArray[np.float32]
    """(4,) box x1, y1, x2, y2 in pixels."""
    score: float
    """Confidence, 0 to 1."""
    category_id: int
    """COCO category id."""
    state: int
    """Value of `TrackState`."""
    mask: RleMasks
    """The mask, as a set of one."""
    since_detected_ns: int = 0
    """Time in nanoseconds between the frame and the one in which it was detected; 0 if that is this frame."""


@dataclass(frozen=True, eq=False)
class TrackView(Sequence[Sighting]):
    """All sightings of a track, in the order of time."""

    track_id: int
    """Track id, unique within the camera."""
    category_id: int
    """Most frequent COCO category id of the track."""
    class_name: str
    """Name of that class."""
    sightings: tuple[Sighting, ...]
    """One sighting for each frame in which the track was detected or propagated."""

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
    """Track id, unique within the camera."""
    category_id: int
    """Most frequent COCO category id of the track."""
    class_name: str
    """Name of that class."""
    frames: int
    """Number of frames in which the track was detected."""
    first_position: int
    """Position of its first frame among the stored frames of the camera."""
    last_position: int
    """Position of its last frame."""
    first_timestamp_ns: int
    """Capture time of its first frame in nanoseconds on the clock of that frame's epoch."""
    last_timestamp_ns: int
    """Capture time of its last frame in nanoseconds on the clock of that frame's epoch."""
