"""FileStorage of OpenCV: YAML, XML or JSON with `camera_matrix` and `distortion_coefficients`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats.fields import first_of, image_size, matrix, numbers

NAME = "OpenCV"
_MATRICES = ("camera_matrix", "cameramatrix", "intrinsic_matrix", "k", "m1", "mtx")
_COEFFICIENTS = ("distortion_coefficients", "dist_coeffs", "distcoeffs", "distortion", "d", "d1", "dist")


def is_storage(text: str) -> bool:
    """Says whether a file's text was written by FileStorage."""
    return text.startswith(("%YAML:1.0", "%YAML 1.0")) or "<opencv_storage>" in text[:400] or "opencv-matrix" in text


def parse(path: Path) -> dict[str, Any]:
    """Returns the matrices and numbers at the top of a file.

    Raises:
        CalibrationError: OpenCV cannot read it.
    """
    import cv2  # noqa: PLC0415 - importing this room stays cheap

    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        if not storage.isOpened():
            raise CalibrationError("expected a file of OpenCV's FileStorage, got one that it cannot open.")
        root = storage.root()
        return {name: _value(root.getNode(name)) for name in root.keys()}  # noqa: SIM118 - a FileNode is no mapping
    except (cv2.error, SystemError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise CalibrationError(f"expected a file of OpenCV's FileStorage: {words}") from error


def _value(node: Any) -> Any:
    if node.isInt() or node.isReal():
        return node.real()
    if node.isString():
        return node.string()
    if node.isMap():
        return node.mat()  # None where the map is no matrix
    return [_value(node.at(i)) for i in range(node.size())] if node.isSeq() else None


def matches(values: Mapping[str, Any]) -> bool:
    """Says whether a parsed file is in this format."""
    return first_of(values, *_MATRICES) is not None and first_of(values, *_COEFFICIENTS) is not None


def read(values: Mapping[str, Any], source: str) -> Calibration:
    """Returns the calibration; the number of coefficients tells the model, unless `fisheye_model` is set."""
    coefficients = numbers(first_of(values, *_COEFFICIENTS), "the distortion coefficients")
    fisheye = bool(first_of(values, "fisheye_model", "fisheye"))
    model = "equidistant" if fisheye else "plumb_bob" if len(coefficients) <= 5 else "rational_polynomial"
    return Calibration.from_matrix(
        matrix(first_of(values, *_MATRICES), "the camera matrix"),
        model,
        tuple(coefficients.tolist()),
        image_size=image_size(first_of(values, "image_width", "width"), first_of(values, "image_height", "height")),
        sources=(f"{source} ({NAME})",),
    )
