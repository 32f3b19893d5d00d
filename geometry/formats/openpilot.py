"""openpilot: `liveCalibration` (rpyCalib and height) as JSON or YAML, with the focal length of the camera.

rpyCalib turns the calibrated frame into that of the device, both x ahead, y right, z down, so a positive pitch is a
camera that looks down (openpilot, `common/transformations/README.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration, Floats
from roadmask.geometry.formats.fields import first_of, image_size, matrix, numbers

NAME = "openpilot"
_ANGLES = ("rpycalib", "rpy_calib", "rpy")


def matches(values: Mapping[str, Any]) -> bool:
    """Says whether a parsed file is in this format."""
    inner = first_of(values, "livecalibration")
    return first_of(inner if isinstance(inner, Mapping) else values, *_ANGLES) is not None


def read(values: Mapping[str, Any], source: str) -> Calibration:
    """Returns the calibration; roll, pitch and yaw are in radians and the height in metres."""
    inner = first_of(values, "livecalibration")
    values = {**values, **inner} if isinstance(inner, Mapping) else values
    roll, pitch, _ = numbers(first_of(values, *_ANGLES), "rpyCalib", (3,)).tolist()
    height = first_of(values, "height", "camera_height")
    resolution = first_of(values, "size", "resolution")
    width, rows = first_of(values, "image_width", "width"), first_of(values, "image_height")
    if resolution is not None:
        width, rows = numbers(resolution, "size", (2,)).tolist()
    return Calibration.from_matrix(
        _matrix(values, width, rows),
        "none",
        (),
        image_size=image_size(width, rows),
        height=None if height is None else float(numbers(height, "height", (1,))[0]),
        pitch=pitch,
        roll=roll,
        sources=(f"{source} ({NAME})",),
    )


def _matrix(values: Mapping[str, Any], width: Any, rows: Any) -> Floats:
    given = first_of(values, "intrinsics", "intrinsic_matrix", "camera_matrix", "k")
    if given is not None:
        return matrix(given, "intrinsics")
    focal = first_of(values, "focal_length", "focal_len", "focal")
    if focal is None or width is None or rows is None:
        raise CalibrationError(
            "expected intrinsics, or focal_length with image_width and image_height, beside rpyCalib: openpilot keeps "
            "them in common/transformations/camera.py; add those of your device to the file."
        )
    f = float(numbers(focal, "focal_length", (1,))[0])
    w, h = numbers([width, rows], "the image size").tolist()
    return np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]])
