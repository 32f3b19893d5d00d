"""What a tracker says about one frame."""

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


class TrackState(IntEnum):
    """How sure the tracker is of a track."""

    TENTATIVE = 0
    """Seen too briefly to be believed."""
    CONFIRMED = 1
    """Seen often enough."""
    LOST = 2
    """Confirmed, but not seen in this frame; may come back."""


@dataclass(frozen=True, eq=False)
class LostTracks:
    """Confirmed tracks that were not seen in a frame: where they should be, for those who plan around them."""

    track_ids: NDArray[np.int64]
    """(M,)"""
    category_ids: NDArray[np.int64]
    """(M,) COCO category ids."""
    boxes: NDArray[np.float32]
    """(M, 4) predicted x1, y1, x2, y2 in pixels; may lie outside the image."""
    lost_ns: NDArray[np.int64]
    """(M,) time since it was last seen."""

    def __len__(self) -> int:
        return len(self.track_ids)


@dataclass(frozen=True, eq=False)
class Tracks:
    """The instances seen in one frame, each with its track.

    One index applies to every field of a seen instance. A lost track has no mask, so it is not among the instances:
    see `lost`.

    Raises:
        InstancesError: a field does not have one value for each instance.
    """

    instances: Instances
    """What was seen, N instances."""
    track_ids: NDArray[np.int64]
    """(N,) from 1 up, unique for the life of the tracker; 0 where an instance belongs to no track."""
    states: NDArray[np.uint8]
    """(N,) `TrackState.TENTATIVE` or `TrackState.CONFIRMED`."""
    ages_ns: NDArray[np.int64]
    """(N,) time since the track was first seen."""
    velocities: NDArray[np.float32]
    """(N, 2) of the box centre, pixels per second, x and y."""
    lost: LostTracks
    """Confirmed tracks that were not seen in this frame."""
    tentative_unseen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(U,) ids of tentative tracks that were not seen in this frame and may still be confirmed."""

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
        )

    def __repr__(self) -> str:
        confirmed = int((self.states == TrackState.CONFIRMED).sum())
        return f"Tracks({confirmed} confirmed, {len(self) - confirmed} tentative, {len(self.lost)} lost)"


class TrackerState(Protocol):
    """All that a tracker knows at one moment; it never changes, whatever the tracker does later."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns it as named arrays of plain numbers, ready to be written to disk."""
        ...


class Tracker(Protocol):
    """Gives each instance the id of its track."""

    def update(self, instances: Instances, timestamp_ns: int, image: NDArray[np.uint8] | None = None) -> Tracks:
        """Takes the instances of the next frame.

        Args:
            instances: what a segmenter found.
            timestamp_ns: capture time; must be later than that of the frame before.
            image: (H, W, 3) RGB, the image they were found in, for trackers that look at it.

        Raises:
            InputError: time stands still or goes back.
        """
        ...

    def start_epoch(self) -> None:
        """Ends all tracks: the next frame has another image size, rotation or clock. Ids go on."""
        ...

    def state(self) -> TrackerState:
        """Returns what it knows now; cheap enough to be taken after every frame."""
        ...

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Goes on from a state, as if it had seen the frames itself: the same frames then get the same tracks.

        Args:
            arrays: what `TrackerState.to_arrays` gave, of a tracker with the same configuration.

        Raises:
            InputError: they are not the state of such a tracker.
        """
        ...
