"""KITTI: `calib.txt` of its benchmarks (P0 to P3) and `calib_cam_to_cam.txt` of its raw recordings.

Both are read for the rectified images, which KITTI publishes: they have no distortion. KITTI's files do not state the
height of the camera, which is 1.65 m.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from roadmask.engines.errors import CalibrationError
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.formats.fields import image_size, numbers

NAME = "KITTI"
DEFAULT_CAMERA = "2"
"""The left colour camera, whose images people use."""
_KEY = re.compile(r"^(?:P(?P<benchmark>\d)|P_rect_0?(?P<raw>\d+))$")


def is_kitti(text: str) -> bool:
    """Says whether a file's text is in this format."""
    return re.search(r"^(P[0-3]|P_rect_0\d):?\s", text, re.MULTILINE) is not None


def parse(text: str) -> dict[str, str]:
    """Returns the fields of each line, by the name before it."""
    lines = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {parts[0].rstrip(":"): parts[1] if len(parts) > 1 else "" for parts in lines}


def cameras(values: Mapping[str, str]) -> dict[str, str]:
    """Returns number of camera -> name of its projection matrix."""
    found = {}
    for name in values:
        match = _KEY.match(name)
        if match:
            found[match["benchmark"] or match["raw"]] = name
    return found


def read(values: Mapping[str, str], camera: str, source: str) -> Calibration:
    """Returns the calibration of one camera by its number."""
    name = cameras(values)[camera]
    p = numbers(_words(values[name], name), name, (12,)).reshape(3, 4)
    size = values.get(f"S_rect_{int(camera):02d}")
    width, height = (None, None) if size is None else numbers(_words(size, "S_rect"), "S_rect", (2,)).tolist()
    return Calibration.from_matrix(
        p[:, :3],
        "none",
        (),
        image_size=image_size(width, height),
        sources=(f"{source} ({NAME}, {name})",),
    )


def _words(text: str, name: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise CalibrationError(f"expected numbers in {name}: {error}.") from error
