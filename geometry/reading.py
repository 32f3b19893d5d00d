"""Reads a camera's calibration from a file of any of six formats, which is recognised by what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats import kalibr, kitti, nuscenes, opencv, openpilot, ros

_MOST_BYTES, _MOST_YAML_BYTES = 64 << 20, 1 << 20
"""Maximum size of a file; YAML, which is slow to parse, holds one vehicle's cameras and is never large."""
_PICKLED = (".pkl", ".pickle", ".p", ".npy", ".npz", ".pt", ".pth", ".joblib")
_FORMATS = "ROS CameraInfo, KITTI, nuScenes, OpenCV, Kalibr or openpilot"


def read_calibration(path: str | Path, camera: str | None = None) -> Calibration:
    """Reads the calibration of one camera.

    Args:
        path: file of ROS CameraInfo (YAML), KITTI (`calib.txt`, `calib_cam_to_cam.txt`), nuScenes
            (`calibrated_sensor.json`), OpenCV (YAML, XML or JSON), Kalibr (camchain YAML) or openpilot (JSON or YAML).
        camera: name of the camera in a file of several: KITTI's number (`2` if None), nuScenes' channel or Kalibr's
            `cam0`. Not used where the file holds one camera.

    Raises:
        CalibrationError: the file cannot be read, is in another format, holds values of no camera, or holds several
            cameras of which none has the name.
    """
    path = Path(path)
    try:
        return _read(path, camera)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def _read(path: Path, camera: str | None) -> Calibration:
    text = _text(path)
    source = path.name
    if opencv.is_storage(text):
        values = opencv.parse(path)
        # camera_calibration's files have the same names, and a distortion model
        return ros.read(values, source) if ros.matches(values) else _checked(values, source)
    if kitti.is_kitti(text):
        lines = kitti.parse(text)
        return kitti.read(lines, _chosen(kitti.cameras(lines), camera, kitti.DEFAULT_CAMERA), source)
    return _of_values(_parsed(text, path), path, camera)


def _of_values(parsed: Any, path: Path, camera: str | None) -> Calibration:
    """Returns the calibration in a parsed file of JSON or YAML."""
    source = path.name
    if nuscenes.matches(parsed):
        rows = nuscenes.cameras(parsed, path)
        return nuscenes.read(rows[_chosen(rows, camera)], source)
    if not isinstance(parsed, Mapping):
        raise CalibrationError(f"expected a calibration of {_FORMATS}, got {type(parsed).__name__} at the top.")
    if ros.matches(parsed):
        return ros.read(parsed, source)
    if openpilot.matches(parsed):
        return openpilot.read(parsed, source)
    if kalibr.matches(parsed):
        chain = kalibr.cameras(parsed)
        return kalibr.read(chain[_chosen(chain, camera)], source)
    return _checked(parsed, source)


def _checked(values: Mapping[str, Any], source: str) -> Calibration:
    if not opencv.matches(values):
        names = ", ".join(str(key) for key in list(values)[:8])
        raise CalibrationError(f"expected a calibration of {_FORMATS}, got a file with {names or 'nothing in it'}.")
    return opencv.read(values, source)


def _text(path: Path) -> str:
    if path.suffix.lower() in _PICKLED:
        raise CalibrationError(
            f"expected a text file of {_FORMATS}, got {path.suffix}: pickled files can run code and are never read."
        )
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise CalibrationError(f"expected a file of at most {_MOST_BYTES >> 20} MiB, got {size >> 20} MiB.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CalibrationError(f"expected a readable file: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CalibrationError(f"expected a text file of {_FORMATS}, got bytes that are not UTF-8.") from error
    if not text.strip():
        raise CalibrationError(f"expected a calibration of {_FORMATS}, got an empty file.")
    return text


def _parsed(text: str, path: Path) -> Any:
    try:
        if text.lstrip().startswith(("{", "[")) and path.suffix.lower() == ".json":
            return json.loads(text)
        if len(text) > _MOST_YAML_BYTES:
            raise CalibrationError(f"expected YAML of at most {_MOST_YAML_BYTES >> 20} MiB, got {len(text) >> 20} MiB.")
        # `ros2 topic echo` ends each message with ---; the first one is meant
        return next(iter(yaml.safe_load_all(text)), None)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise CalibrationError(
            f"expected a calibration of {_FORMATS}, got a file that cannot be parsed: {words}"
        ) from (error)


def _chosen(names: Iterable[str], wanted: str | None, default: str | None = None) -> str:
    """Returns the name of the camera that is meant, among those of a file."""
    there = list(names)
    if wanted is not None:
        number = wanted.removeprefix("image_").removeprefix("cam").lstrip("0") or "0"
        for name in (wanted, wanted.upper(), wanted.lower(), number):
            if name in there:
                return name
    if len(there) == 1:
        return there[0]
    if default in there:
        return str(default)
    got = "no name" if wanted is None else repr(wanted)
    raise CalibrationError(f"expected the name of one of its cameras ({', '.join(sorted(there))}), got {got}.")
