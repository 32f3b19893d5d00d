"""What is known of a camera: its lens, and how it stands over the road."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import CalibrationError

Floats = NDArray[np.float64]

DistortionModel = Literal["plumb_bob", "rational_polynomial", "equidistant"]
"""Distortion models under the names of ROS (`sensor_msgs/distortion_models.hpp`)."""

COEFFICIENT_COUNTS: dict[DistortionModel, tuple[int, ...]] = {
    "plumb_bob": (5,),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""Numbers of coefficients of each model, in OpenCV's order; fewer are filled up with zeros."""
MODEL_NAMES: dict[str, DistortionModel] = {
    "": "plumb_bob",
    "none": "plumb_bob",
    "plumb_bob": "plumb_bob",
    "radtan": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "equi": "equidistant",
    "fisheye": "equidistant",
    "kannala_brandt": "equidistant",
}
"""Names of distortion models in files -> the model."""
_ASPECT_TOLERANCE = 0.01
"""Relative difference of aspect ratio from which images are cropped, not scaled."""


@dataclass(frozen=True)
class Calibration:
    """Calibration of one camera: intrinsic parameters, and its height, pitch and roll over the road.

    The camera looks along z, with x to the right and y down. Pixel (0, 0) is the centre of the top left pixel, as in
    OpenCV and ROS.

    Raises:
        CalibrationError: a value is not finite or out of range, or the number of coefficients does not suit the model.
    """

    focal: tuple[float, float]
    """Focal lengths fx and fy in pixels."""
    centre: tuple[float, float]
    """Principal point cx, cy in pixels."""
    distortion_model: DistortionModel = "plumb_bob"
    """Model of the lens's distortion."""
    distortion: tuple[float, ...] = (0.0,) * 5
    """Coefficients of the model in OpenCV's order: k1, k2, p1, p2, k3 for `plumb_bob`; the same and k4, k5, k6 (and
    thin prism and tilt) for `rational_polynomial`; k1 to k4 for `equidistant`."""
    image_size: tuple[int, int] | None = None
    """Height and width in pixels of the images that were calibrated; None if the file does not state it."""
    height: float | None = None
    """Height of the camera over the road in metres; None if it is not known."""
    pitch: float | None = None
    """Angle in radians between the optical axis and the road, positive where the camera looks down; None if it is not
    known, which is taken as 0 with a large uncertainty."""
    roll: float | None = None
    """Angle in radians about the optical axis, positive where the camera's right side is lower; None if not known."""
    sources: tuple[str, ...] = ()
    """What each part was read from, in words."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "distortion", _filled(self.distortion_model, self.distortion))
        numbers = [*self.focal, *self.centre, *self.distortion]
        numbers += [each for each in (self.height, self.pitch, self.roll) if each is not None]
        if not all(math.isfinite(each) for each in numbers):
            raise CalibrationError("expected finite numbers in a calibration, got NaN or infinity: check the file.")
        if min(self.focal) <= 0:
            raise CalibrationError(f"expected focal lengths above 0 pixels, got {self.focal}.")
        if self.image_size is not None and min(self.image_size) < 1:
            raise CalibrationError(f"expected an image size of at least 1 x 1 pixels, got {self.image_size}.")
        if self.height is not None and not 0.1 <= self.height <= 20:
            raise CalibrationError(
                f"expected the camera 0.1 to 20 m above the road, got a height of {self.height:g} m: give metres."
            )
        for name, angle in (("pitch", self.pitch), ("roll", self.roll)):
            if angle is not None and abs(angle) > math.pi / 4:
                raise CalibrationError(
                    f"expected a {name} of at most 45 degrees, got {math.degrees(angle):.1f}: distances are measured "
                    "by cameras that look along the road."
                )

    @classmethod
    def from_matrix(
        cls, matrix: Sequence[Sequence[float]] | Floats, model: str, coefficients: Sequence[float], **known: Any
    ) -> Calibration:
        """Returns the calibration with a 3 x 3 camera matrix K and a distortion model under the name of any format.

        Raises:
            CalibrationError: the matrix is not that of a camera, or the model is unknown.
        """
        k = np.asarray(matrix, np.float64)
        if k.shape != (3, 3) or not np.isfinite(k).all() or not np.allclose(k[2], (0, 0, 1)) or k[1, 0] != 0:
            raise CalibrationError(
                f"expected a camera matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {k.tolist()}: check the file."
            )
        if abs(k[0, 1]) > 1e-6 * k[0, 0]:
            raise CalibrationError(f"expected a camera without skew, got a skew of {k[0, 1]:g} pixels.")
        name = model.strip().lower()
        if name not in MODEL_NAMES:
            raise CalibrationError(
                f"expected a distortion model of ROS ({', '.join(get_args(DistortionModel))}), got {model!r}: "
                "calibrate with one of these."
            )
        focal, centre = (float(k[0, 0]), float(k[1, 1])), (float(k[0, 2]), float(k[1, 2]))
        return cls(focal, centre, MODEL_NAMES[name], tuple(float(each) for each in coefficients), **known)

    @property
    def matrix(self) -> Floats:
        """(3, 3) camera matrix K in pixels."""
        return np.array([[self.focal[0], 0, self.centre[0]], [0, self.focal[1], self.centre[1]], [0, 0, 1]])

    @property
    def up(self) -> Floats:
        """(3,) unit vector in camera coordinates that points away from the road; pitch and roll are 0 if not known."""
        pitch, roll = self.pitch or 0.0, self.roll or 0.0
        cos = math.cos(pitch)
        return np.array([-math.sin(roll) * cos, -math.cos(roll) * cos, -math.sin(pitch)])

    @property
    def horizon(self) -> float:
        """Row in pixels at which the road's horizon crosses the column of the principal point, without distortion."""
        up = self.up
        return float(self.centre[1] - self.focal[1] * up[2] / up[1])

    def with_mounting(
        self, height: float | None = None, pitch: float | None = None, source: str = "the caller"
    ) -> Calibration:
        """Returns the calibration with another height in metres or pitch in radians; None keeps what is known.

        Raises:
            CalibrationError: a value is out of range.
        """
        changes: dict[str, Any] = {}
        named = [(name, value) for name, value in (("height", height), ("pitch", pitch)) if value is not None]
        for name, value in named:
            changes[name] = float(value)
        sources = self.sources + tuple(f"{name} from {source}" for name, _ in named)
        return replace(self, **changes, sources=sources)

    def for_images(self, image_size: tuple[int, int]) -> Calibration:
        """Returns the calibration for images that were scaled from those calibrated to (height, width) pixels.

        Raises:
            CalibrationError: the aspect ratio differs, so the images were cropped or are another camera's.
        """
        if self.image_size is None or self.image_size == image_size:
            return replace(self, image_size=image_size)
        down, across = image_size[0] / self.image_size[0], image_size[1] / self.image_size[1]
        if abs(down / across - 1) > _ASPECT_TOLERANCE:
            (height, width), (got_height, got_width) = self.image_size, image_size
            raise CalibrationError(
                f"expected images of {width} x {height} or scaled from it, got {got_width} x {got_height}: the "
                "calibration is another camera's, or the images are cropped."
            )
        # The centre of a pixel is half a pixel from its edge at every scale.
        centre = ((self.centre[0] + 0.5) * across - 0.5, (self.centre[1] + 0.5) * down - 0.5)
        focal = (self.focal[0] * across, self.focal[1] * down)
        return replace(self, focal=focal, centre=centre, image_size=image_size)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON data, which stores keep; `from_dict` reads it."""
        values = asdict(self)
        return {name: list(each) if isinstance(each, tuple) else each for name, each in values.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Reads what `to_dict` returned.

        Raises:
            CalibrationError: a value is missing or unusable.
        """
        try:
            values: dict[str, Any] = {each.name: data[each.name] for each in fields(cls)}
            values = {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"expected a stored calibration, got {dict(data)}: {error}.") from error

    def __str__(self) -> str:
        height = "not known" if self.height is None else f"{self.height:.2f} m"
        pitch = "not known" if self.pitch is None else f"{math.degrees(self.pitch):.2f} degrees"
        return f"focal length {self.focal[0]:.1f} px, {self.distortion_model}, height {height}, pitch {pitch}"


def _filled(model: str, coefficients: Sequence[float]) -> tuple[float, ...]:
    """Returns the coefficients with zeros after them, up to the next number that the model has."""
    if model not in COEFFICIENT_COUNTS:
        raise CalibrationError(f"expected a distortion model of {', '.join(COEFFICIENT_COUNTS)}, got {model!r}.")
    given = tuple(float(each) for each in coefficients)
    for count in COEFFICIENT_COUNTS[model]:
        if len(given) <= count:
            return given + (0.0,) * (count - len(given))
    most = COEFFICIENT_COUNTS[model][-1]
    raise CalibrationError(f"expected at most {most} coefficients of {model}, got {len(given)}: check the model.")
