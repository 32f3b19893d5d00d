"""State of an `IouTracker`, as it is stored with a recording to resume it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.tracking.iou.track_table import TrackTable


@dataclass(frozen=True, eq=False)
class IouTrackerState:
    """State of an `IouTracker` after a frame."""

    next_id: int
    """Id that the next new track will get."""
    now_ns: int | None
    """Capture time of the last frame of the epoch in nanoseconds; None before the first frame."""
    image_size: tuple[int, int] | None
    """Height and width of the epoch's images in pixels; None before the first frame."""
    tracks: TrackTable
    """Tracks that are followed."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the state as named arrays of numbers."""
        seen = [] if self.now_ns is None or self.image_size is None else [self.now_ns, *self.image_size]
        return {
            "next_id": np.array(self.next_id, np.int64),
            "last_frame": np.array(seen, np.int64),
            **{f"tracks/{name}": values for name, values in self.tracks.to_arrays().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> IouTrackerState:
        """Returns the state that `to_arrays` was called on.

        Raises:
            InputError: the arrays are not the state of an `IouTracker`.
        """
        next_id, last_frame = arrays.get("next_id"), arrays.get("last_frame")
        if next_id is None or next_id.shape != () or last_frame is None or last_frame.shape not in {(0,), (3,)}:
            raise InputError(
                f"expected the state of an IouTracker, got the arrays {', '.join(sorted(arrays)) or 'none'}."
            )
        now_ns, *sides = last_frame.tolist() or [None]
        size = (sides[0], sides[1]) if sides else None
        prefix = "tracks/"
        table = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
        return cls(int(next_id), now_ns, size, TrackTable.from_arrays(table, size))
