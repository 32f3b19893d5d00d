"""The tracks a tracker follows, one row each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TrackTable:
    """All a tracker knows of its T tracks, in the order of their ids.

    Plain arrays and bytes, so that it can be written to disk as it stands.
    """

    ids: NDArray[np.int64]
    """(T,) track ids."""
    labels: NDArray[np.int64]
    """(T,) COCO category ids."""
    boxes: NDArray[np.float64]
    """(T, 4) x1, y1, x2, y2 when last seen, in pixels."""
    velocities: NDArray[np.float64]
    """(T, 2) of the box centre, x and y in pixels per second."""
    drift: NDArray[np.float64]
    """(T, 2) what the camera's own turns moved it by since it was last seen, x and y in pixels."""
    first_seen_ns: NDArray[np.int64]
    """(T,) capture time of the first sighting."""
    last_seen_ns: NDArray[np.int64]
    """(T,) capture time of the last sighting."""
    hits: NDArray[np.int64]
    """(T,) frames it was seen in."""
    confirmed: NDArray[np.bool_]
    """(T,) whether it is believed."""
    masks: NDArray[np.object_]
    """(T,) COCO compressed run lengths (bytes) when last seen, or None where only a box was known."""

    @classmethod
    def empty(cls) -> TrackTable:
        """Returns a table of no tracks."""
        integers = np.zeros(0, np.int64)
        return cls(
            ids=integers,
            labels=integers,
            boxes=np.zeros((0, 4), np.float64),
            velocities=np.zeros((0, 2), np.float64),
            drift=np.zeros((0, 2), np.float64),
            first_seen_ns=integers,
            last_seen_ns=integers,
            hits=integers,
            confirmed=np.zeros(0, np.bool_),
            masks=np.zeros(0, np.object_),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: NDArray[Any]) -> TrackTable:
        return TrackTable(*(getattr(self, field.name)[index] for field in fields(self)))

    def followed_by(self, other: TrackTable) -> TrackTable:
        """Returns the rows of both tables."""
        return TrackTable(
            *(np.concatenate([getattr(self, field.name), getattr(other, field.name)]) for field in fields(self))
        )
