"""What is assumed about objects, masks and the vehicle when distances are estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import ConfigError


@dataclass(frozen=True)
class ClassGeometry:
    """Size of the objects of one class, and how well their masks show it.

    How the constants of cars and pedestrians were chosen is stated in docs/measurements/distance.md.
    """

    height: float
    """Mean height of the objects in metres, as far as masks show it."""
    height_sigma: float
    """Standard deviation of the height, relative to the height."""
    foot_sigma_pixels: float
    """Standard deviation in pixels of the row at which a mask ends, about that of the nearest point on the road."""
    ground_sigma: float
    """Standard deviation in metres of the road's height under an object: kerbs and slopes."""
    setback: float
    """Distance in metres from the nearest part of an object back to where it stands: bumpers reach past the wheels."""
    setback_sigma: float
    """Standard deviation of `setback` in metres."""
    road_factor: float = 1.0
    """Unevenness of the ground on which objects of the class stand, relative to that of the road: people stand on
    pavements and verges too."""


CLASS_GEOMETRY: Mapping[int, ClassGeometry] = {
    CAR: ClassGeometry(
        height=1.54,
        height_sigma=0.025,
        foot_sigma_pixels=2.4,
        ground_sigma=0.04,
        setback=0.65,
        setback_sigma=0.5,
    ),
    PEDESTRIAN: ClassGeometry(
        height=1.66,
        height_sigma=0.055,
        foot_sigma_pixels=1.5,
        ground_sigma=0.03,
        setback=0.38,
        setback_sigma=0.55,
        road_factor=3.0,
    ),
}
"""COCO category id -> what is assumed about the class. Instances of other classes get no distance."""


@dataclass(frozen=True)
class DistanceConfig:
    """Settings of the estimate of distances.

    Raises:
        ConfigError: a value is out of range.
    """

    classes: Mapping[int, ClassGeometry] = field(default_factory=lambda: dict(CLASS_GEOMETRY))
    """COCO category id -> geometry of the class."""
    path_half_width: float = 1.5
    """Half of the width in metres of the vehicle's own path, straight ahead of the camera."""
    border_pixels: float = 1.0
    """Margin in pixels within which a mask counts as cut by the border of the image."""
    hidden_share: float = 0.3
    """Share of a mask's lower edge that another instance must hide for its foot to count as hidden."""
    edge_sigma_pixels: float = 1.15
    """Standard deviation in pixels of the height of a mask."""
    size_sigma: float = 0.033
    """Relative standard deviation of a mask's height that changes as an object turns, and so is never averaged out."""
    pitch_sigma: float = 0.001
    """Standard deviation in radians of a pitch that the calibration states."""
    unknown_pitch_sigma: float = 0.01
    """Standard deviation in radians of the pitch about 0, where the calibration states none."""
    nod_sigma: float = 0.003
    """Standard deviation in radians of the nodding of the vehicle."""
    nod_seconds: float = 0.55
    """Time in seconds after which the nodding is another."""
    road_sigma: float = 0.0018
    """Standard deviation in radians, at first, of the road's slope from a plane; it is learned on the way."""
    road_seconds: float = 2.8
    """Time in seconds over which the unevenness of the road is learned from one object."""
    turn_sigma: float = 0.0012
    """Relative change of the height that an object shows, over one second."""
    foot_seconds: float = 0.25
    """Time in seconds after which the error of an object's foot is another."""
    pitch_warning: float = 0.0105
    """Difference in radians between the calibrated and the learned pitch above which the calibration is doubted."""
    acceleration_sigma: float = 2.0
    """Standard deviation in m/s^2 of the change of closing speeds, over one second."""
    forget_seconds: float = 2.0
    """Time in seconds after which a track that is not seen is forgotten."""

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in vars(self).items() if name != "classes"}
        for name, value in numbers.items():
            if not 0 < value < 1000:
                raise ConfigError(f"expected {name} above 0 and below 1000, got {value!r}.")
