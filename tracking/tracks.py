"""Result of a tracker for one frame, and the interface of trackers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.instances import Index, Instances, as_rows
from roadmask.engines.semantic import SemanticMap
from roadmask.geometry.distance.distances import Distances


class TrackState(IntEnum):
    """State of a track."""

    TENTATIVE = 0
    """Detected too few times or too briefly to be confirmed."""
    CONFIRMED = 1
    """Detected often and long enough."""
    LOST = 2
    """Confirmed, but not detected in this frame; may come back."""


@dataclass(frozen=True, eq=False)
class LostTracks:
    """M confirmed tracks that were not detected in a frame, with predicted boxes for planners."""

    track_ids: NDArray[np.int64]
    """(M,) track ids."""
    category_ids: NDArray[np.int64]
    """(M,) COCO category ids."""
    boxes: NDArray[np.float32]
    """(M, 4) predicted boxes, x1, y1, x2, y2 in pixels; may be outside the image."""
    lost_ns: NDArray[np.int64]
    """(M,) time since the last detection in nanoseconds."""

    def __len__(self) -> int:
        return len(self.track_ids)


@dataclass(frozen=True, eq=False)
class Tracks:
    """N instances of one frame, each with its track.

    An index applies to all fields of the instances. A lost track has no mask and is not among the instances: see
    `lost`.

    Raises:
        InstancesError: a field does not have one value for each instance.
    """

    instances: Instances
    """N detected instances."""
    track_ids: NDArray[np.int64]
    """(N,) track ids, at least 1 and unique for the life of the tracker; 0 for an instance without a track."""
    states: NDArray[np.uint8]
    """(N,) `TrackState.TENTATIVE` or `TrackState.CONFIRMED`."""
    ages_ns: NDArray[np.int64]
    """(N,) time since the first detection of the track in nanoseconds."""
    velocities: NDArray[np.float32]
    """(N, 2) velocities of the box centre, x and y in pixels per second."""
    lost: LostTracks
    """Confirmed tracks that were not detected in this frame."""
    tentative_unseen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(U,) ids of tentative tracks that were not detected in this frame and may still be confirmed."""
    distances: Distances | None = None
    """Distances of the N instances; None where the camera is not calibrated."""

    def __post_init__(self) -> None:
        count = len(self.instances)
        for name, shape, dtype in (
            ("track_ids", (count,), np.int64),
            ("states", (count,), np.uint8),
            ("ages_ns", (count,), np.int64),
            ("velocities", (count, 2), np.float32),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise InstancesError(f"expected {name} as {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}.")
        if self.distances is not None and len(self.distances) != count:
            raise InstancesError(f"expected distances of {count} instances, got {len(self.distances)}.")

    @classmethod
    def from_ids(
        cls,
        instances: Instances,
        track_ids: NDArray[np.integer[Any]],
        states: NDArray[np.integer[Any]] | None = None,
    ) -> Tracks:
        """Returns tracks of which only the ids are known: ages and velocities are 0, and none is lost.

        Args:
            instances: N instances of one frame.
            track_ids: (N,) track ids; 0 where an instance belongs to no track.
            states: (N,) states; if None, instances with a track are confirmed and the others tentative.

        Raises:
            InstancesError: the number of ids or states differs from that of the instances.
        """
        if states is None:
            states = np.where(track_ids > 0, TrackState.CONFIRMED, TrackState.TENTATIVE)
        count, none = len(instances), np.zeros(0, np.int64)
        return cls(
            instances,
            track_ids.astype(np.int64),
            states.astype(np.uint8),
            np.zeros(count, np.int64),
            np.zeros((count, 2), np.float32),
            LostTracks(none, none, np.zeros((0, 4), np.float32), none),
        )

    @property
    def semantic(self) -> SemanticMap | None:
        """Classes of the whole image, as the segmenter reported them beside the instances; None where it did not."""
        return self.instances.semantic

    def __len__(self) -> int:
        return len(self.instances)

    def __getitem__(self, index: Index) -> Tracks:
        if not isinstance(index, slice):
            index = as_rows(index)
        return Tracks(
            self.instances[index],
            self.track_ids[index],
            self.states[index],
            self.ages_ns[index],
            self.velocities[index],
            self.lost,
            self.tentative_unseen,
            None if self.distances is None else self.distances[index],
        )

    def __repr__(self) -> str:
        confirmed = int((self.states == TrackState.CONFIRMED).sum())
        return f"Tracks({confirmed} confirmed, {len(self) - confirmed} tentative, {len(self.lost)} lost)"


class TrackerState(Protocol):
    """State of a tracker after a frame. It does not change when the tracker continues."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the state as named arrays of numbers, ready to be written to disk."""
        ...


class Tracker(Protocol):
    """Assigns each instance to a track."""

    def update(self, instances: Instances, timestamp_ns: int, image: NDArray[np.uint8] | None = None) -> Tracks:
        """Tracks the instances of the next frame.

        Args:
            instances: instances of the frame.
            timestamp_ns: capture time in nanoseconds, later than that of the previous frame.
            image: (H, W, 3) RGB image of the instances, for trackers that use it.

        Raises:
            InputError: the time does not increase.
        """
        ...

    def start_epoch(self) -> None:
        """Ends all tracks, because the next frame has another image size, rotation or clock. Ids continue."""
        ...

    def state(self) -> TrackerState:
        """Returns the current state; cheap enough to be called after every frame."""
        ...

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from a state, as if this tracker had tracked its frames: later frames get the same tracks.

        Args:
            arrays: result of `TrackerState.to_arrays` of a tracker with the same configuration.

        Raises:
            InputError: the arrays are not the state of such a tracker.
        """
        ...
