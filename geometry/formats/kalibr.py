"""Kalibr's camchain: `cam0`, `cam1`, ... with `camera_model`, `intrinsics` and `distortion_coeffs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats.fields import image_size, numbers

NAME = "Kalibr"


def matches(values: Mapping[str, Any]) -> bool:
    """Says whether a parsed file is in this format."""
    return any(isinstance(each, Mapping) and "intrinsics" in each for each in values.values())


def cameras(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Returns the cameras of a file by the names they have in it."""
    return {str(key): each for key, each in values.items() if isinstance(each, Mapping) and "intrinsics" in each}


def read(camera: Mapping[str, Any], source: str) -> Calibration:
    """Returns the calibration of one camera; extrinsics of a chain are relative to each other, not to the road."""
    model = str(camera.get("camera_model", ""))
    if model != "pinhole":
        raise CalibrationError(
            f"expected Kalibr's camera_model pinhole, got {model!r}: calibrate with pinhole-radtan or pinhole-equi."
        )
    fx, fy, cx, cy = numbers(camera.get("intrinsics"), "intrinsics", (4,)).tolist()
    resolution = camera.get("resolution")
    width, height = (None, None) if resolution is None else numbers(resolution, "resolution", (2,)).tolist()
    return Calibration.from_matrix(
        np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        str(camera.get("distortion_model", "none")),
        tuple(numbers(camera.get("distortion_coeffs", []), "distortion_coeffs").tolist()),
        image_size=image_size(width, height),
        sources=(f"{source} ({NAME})",),
    )
