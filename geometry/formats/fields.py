"""Takes numbers out of parsed files, with errors that name the field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Floats


def first_of(values: Mapping[str, Any], *names: str) -> Any:
    """Returns the value of the first name that is there, without regard to case; None if none is."""
    lower = {str(key).lower(): value for key, value in values.items()}
    return next((lower[name] for name in names if lower.get(name) is not None), None)


def numbers(value: Any, name: str, counts: Iterable[int] | None = None) -> Floats:
    """Returns the finite numbers of a list, a nested list, or a matrix with `rows`, `cols` and `data`, in one row.

    Raises:
        CalibrationError: it holds something else, or another number of them.
    """
    if isinstance(value, Mapping):
        value = value.get("data")
    if value is None or isinstance(value, str | bytes):
        raise CalibrationError(f"expected numbers in {name}, got {value!r}.")
    try:
        found = np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise CalibrationError(f"expected numbers in {name}: {error}.") from error
    if not np.isfinite(found).all():
        raise CalibrationError(f"expected finite numbers in {name}, got NaN or infinity.")
    if counts is not None and len(found) not in set(counts):
        raise CalibrationError(f"expected {' or '.join(map(str, counts))} numbers in {name}, got {len(found)}.")
    return found


def matrix(value: Any, name: str) -> Floats:
    """Returns a 3 x 3 matrix."""
    return numbers(value, name, (9,)).reshape(3, 3)


def image_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Returns height and width in pixels; None where a file states 0 or nothing, as uncalibrated cameras of ROS do.

    Raises:
        CalibrationError: they are not whole numbers above 0.
    """
    if not width and not height:
        return None
    found = numbers([height or 0, width or 0], "the image size")
    if (found < 1).any() or (found != np.rint(found)).any():
        raise CalibrationError(f"expected an image size in whole pixels, got width {width} and height {height}.")
    return int(found[0]), int(found[1])


def mounting(rotation: Floats, height: float) -> dict[str, float]:
    """Returns height, pitch and roll of a camera in a vehicle.

    Args:
        rotation: (3, 3) from camera coordinates (x right, y down, z ahead) to those of the vehicle, whose z is up.
        height: of the camera in metres.

    Raises:
        CalibrationError: the matrix is not a rotation.
    """
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
        raise CalibrationError("expected a rotation between camera and vehicle, got a matrix that is none.")
    right, down, ahead = (float(each) for each in rotation[2])
    return {
        "height": float(height),
        "pitch": math.asin(min(max(-ahead, -1.0), 1.0)),
        "roll": math.atan2(-right, -down),
    }


def rotation_of_quaternion(wxyz: Any) -> Floats:
    """Returns the (3, 3) rotation of a quaternion w, x, y, z.

    Raises:
        CalibrationError: its length is not 1.
    """
    w, x, y, z = numbers(wxyz, "rotation (w, x, y, z)", (4,)).tolist()
    if abs(math.hypot(w, x, y, z) - 1) > 1e-2:
        raise CalibrationError(f"expected a rotation as a quaternion of length 1, got {[w, x, y, z]}.")
    length = math.hypot(w, x, y, z)
    w, x, y, z = w / length, x / length, y / length, z / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
