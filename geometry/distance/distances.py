"""The result: what is known of the distance of each instance of a frame, and why not where it is not known."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Index, as_rows

Values = NDArray[np.float32]


class DistanceReason(IntEnum):
    """Why an instance has no distance."""

    KNOWN = 0
    """It has one."""
    NO_CALIBRATION = 1
    """The camera is not calibrated."""
    CUT = 2
    """The border of the image cuts the mask."""
    HIDDEN_FOOT = 3
    """Another instance hides the lower edge of the mask."""
    ABOVE_HORIZON = 4
    """The mask ends above the horizon, so it does not stand on the road."""
    NO_SIZE = 5
    """The size of the class is not known, or the instance has no mask."""
    OUTSIDE_LENS = 6
    """The mask lies where the distortion model does not hold."""

    @property
    def words(self) -> str:
        """The reason in words."""
        return _WORDS[self]


_WORDS = {
    DistanceReason.KNOWN: "",
    DistanceReason.NO_CALIBRATION: "no calibration",
    DistanceReason.CUT: "cut by the frame's border",
    DistanceReason.HIDDEN_FOOT: "hidden foot",
    DistanceReason.ABOVE_HORIZON: "above the horizon",
    DistanceReason.NO_SIZE: "size of the class not known",
    DistanceReason.OUTSIDE_LENS: "outside of the distortion model",
}


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of N instances, in the order of the instances; NaN where a value is not known."""

    metres: Values
    """(N,) distance in metres along the road, straight ahead of the camera, to the nearest part of the object."""
    metres_sigma: Values
    """(N,) standard deviation of `metres`."""
    lateral: Values
    """(N,) offset in metres of the middle of the object's foot from the camera, positive to the right."""
    lateral_sigma: Values
    """(N,) standard deviation of `lateral`."""
    in_path: NDArray[np.int8]
    """(N,) 1 where the object stands in the vehicle's own path, 0 where it does not, -1 where it is not known."""
    closing_speed: Values
    """(N,) speed in m/s at which the distance decreases; negative where it grows."""
    closing_speed_sigma: Values
    """(N,) standard deviation of `closing_speed`."""
    time_to_contact: Values
    """(N,) seconds until the distance is 0 at this closing speed; NaN too where that does not exceed its noise."""
    time_to_contact_sigma: Values
    """(N,) standard deviation of `time_to_contact`."""
    reasons: NDArray[np.uint8]
    """(N,) `DistanceReason` of each instance, 0 where the distance is known."""

    @classmethod
    def unknown(cls, reasons: NDArray[np.uint8]) -> Distances:
        """Returns instances without distances, for (N,) reasons."""
        nan = np.full(len(reasons), np.nan, np.float32)
        values: dict[str, Any] = {each.name: nan.copy() for each in fields(cls)}
        return cls(**values | {"in_path": np.full(len(reasons), -1, np.int8), "reasons": reasons})

    def __len__(self) -> int:
        return len(self.metres)

    def __getitem__(self, index: Index) -> Distances:
        if not isinstance(index, slice):
            index = as_rows(index)
        return Distances(*(getattr(self, each.name)[index] for each in fields(self)))

    def record(self, row: int) -> dict[str, Any]:
        """Returns the values of one instance under their names, None where not known, for JSON and tables."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)[row]
            if each.name == "reasons":
                found["reason"] = DistanceReason(int(value)).words or None
            elif each.name == "in_path":
                found["in_path"] = None if value < 0 else bool(value)
            else:
                found[each.name] = None if np.isnan(value) else round(float(value), 4)
        return found
