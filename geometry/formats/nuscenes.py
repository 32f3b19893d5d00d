"""nuScenes: `calibrated_sensor.json`, with the names of its cameras in `sensor.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats.fields import matrix, mounting, numbers, rotation_of_quaternion

NAME = "nuScenes"


def matches(values: Any) -> bool:
    """Says whether a parsed file is in this format: a list of sensors, or one of them."""
    first = values[0] if isinstance(values, list) and values else values
    return isinstance(first, Mapping) and "camera_intrinsic" in first


def cameras(values: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    """Returns the cameras by channel; by token where `sensor.json` is not beside the file.

    A channel that several vehicles have is listed once for each, as CHANNEL, CHANNEL-2, ...
    """
    rows = values if isinstance(values, list) else [values]
    rows = [row for row in rows if isinstance(row, Mapping) and row.get("camera_intrinsic")]
    channels = _channels(path.with_name("sensor.json"))
    found: dict[str, Mapping[str, Any]] = {}
    for position, row in enumerate(rows):
        name = channels.get(str(row.get("sensor_token")), str(row.get("token", position)))
        count = sum(each == name or each.startswith(f"{name}-") for each in found)
        found[name if not count else f"{name}-{count + 1}"] = row
    return found


def _channels(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return {str(row["token"]): str(row["channel"]) for row in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CalibrationError(f"{path}: expected a table of sensors with token and channel: {error!r}.") from error


def read(row: Mapping[str, Any], source: str) -> Calibration:
    """Returns the calibration of one sensor; its frame of the vehicle has its origin on the road."""
    translation = numbers(row.get("translation"), "translation", (3,))
    placed = mounting(rotation_of_quaternion(row.get("rotation")), float(translation[2]))
    return Calibration.from_matrix(
        matrix(row.get("camera_intrinsic"), "camera_intrinsic"), "none", (), **placed, sources=(f"{source} ({NAME})",)
    )
