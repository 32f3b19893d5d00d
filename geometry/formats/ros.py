"""`sensor_msgs/CameraInfo`: the file of `camera_calibration`, a message printed by `ros2 topic echo`, or a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats.fields import first_of, image_size, matrix, numbers

NAME = "ROS CameraInfo"


def matches(values: Mapping[str, Any]) -> bool:
    """Says whether a parsed file is in this format."""
    names = (("camera_matrix", "k"), ("distortion_coefficients", "d"), ("distortion_model",))
    return all(first_of(values, *each) is not None for each in names)


def read(values: Mapping[str, Any], source: str) -> Calibration:
    """Returns the calibration of the unrectified images: K and D. P and R, of the rectified ones, are not used."""
    k = matrix(first_of(values, "camera_matrix", "k"), "K")
    if not k.any():
        raise CalibrationError("expected a calibrated camera, got a matrix K of zeros: the camera was not calibrated.")
    return Calibration.from_matrix(
        k,
        str(first_of(values, "distortion_model")),
        tuple(numbers(first_of(values, "distortion_coefficients", "d"), "D").tolist()),
        image_size=image_size(first_of(values, "image_width", "width"), first_of(values, "image_height", "height")),
        sources=(f"{source} ({NAME})",),
    )


def from_camera_info(message: Any, source: str = "a message") -> Calibration:
    """Returns the calibration in a CameraInfo message of ROS 1 or 2, or any object with its fields.

    Args:
        message: object with `k` or `K`, `d` or `D`, `distortion_model`, `width` and `height`.
        source: where it came from, for error messages and `Calibration.sources`.

    Raises:
        CalibrationError: a field is missing or unusable.
    """
    names = ("k", "K", "d", "D", "distortion_model", "width", "height")
    values = {name.lower(): getattr(message, name) for name in names if hasattr(message, name)}
    missing = {"k", "d", "distortion_model"} - values.keys()
    if missing:
        raise CalibrationError(
            f"expected a CameraInfo message with k, d and distortion_model, got {type(message).__name__} without "
            f"{', '.join(sorted(missing))}."
        )
    return read(values, source)
