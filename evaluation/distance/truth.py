"""What KITTI's 3D labels say about the distance of the objects of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError

Floats = NDArray[np.float64]

_CATEGORIES = {"car": CAR, "van": CAR, "pedestrian": PEDESTRIAN, "person": PEDESTRIAN, "person_sitting": PEDESTRIAN}
"""Type of a label in lower case -> COCO category id."""
_FIELDS = 17


@dataclass(frozen=True, eq=False)
class TrueObjects:
    """The N labelled cars and pedestrians of one frame."""

    categories: NDArray[np.int64]
    """(N,) COCO category ids."""
    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""
    metres: Floats
    """(N,) distance ahead in metres of the nearest lower corner of the object."""
    lateral: Floats
    """(N,) offset in metres to the right of the middle of the two lower corners that are nearest."""
    visible: NDArray[np.bool_]
    """(N,) whether the object is neither occluded nor truncated."""
    ids: NDArray[np.int64]
    """(N,) ids of the objects."""

    def __len__(self) -> int:
        return len(self.metres)


def read_truth(path: Path) -> dict[int, TrueObjects]:
    """Reads the labels of a sequence of KITTI tracking, by frame.

    Raises:
        InputError: a row is not one of KITTI tracking with a 3D box.
    """
    rows: dict[int, list[tuple[float, ...]]] = {}
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            words = line.split()
            category = _CATEGORIES.get(words[2].lower())
            if category is not None:
                numbers = [float(words[n]) for n in range(3, _FIELDS)]
                rows.setdefault(int(words[0]), []).append((int(words[1]), category, *numbers))
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path}: expected labels of KITTI tracking with {_FIELDS} fields a row: {error}.") from error
    return {frame: _objects(np.array(found, np.float64)) for frame, found in rows.items()}


def _objects(rows: Floats) -> TrueObjects:
    ids, categories, truncated, occluded = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    width, length = rows[:, 10], rows[:, 11]
    x, z, turn = rows[:, 12], rows[:, 14], rows[:, 15]
    metres, lateral = corners_seen(x, z, turn, length, width)
    return TrueObjects(
        categories.astype(np.int64),
        rows[:, 5:9],
        metres,
        lateral,
        (truncated == 0) & (occluded == 0),
        ids.astype(np.int64),
    )


def corners_seen(x: Floats, z: Floats, turn: Floats, length: Floats, width: Floats) -> tuple[Floats, Floats]:
    """Returns the distance ahead of the nearest corner of N boxes, and the lateral middle of the two nearest corners.

    Args:
        x: (N,) metres to the right of the camera of the middle of each box.
        z: (N,) metres ahead of the camera.
        turn: (N,) angle in radians from x towards -z at which the box is long (KITTI's rotation_y).
        length: (N,) metres.
        width: (N,) metres.
    """
    along, across = np.array([1, 1, -1, -1])[:, None] * length / 2, np.array([1, -1, -1, 1])[:, None] * width / 2
    # KITTI turns boxes about the y axis, which points down: see readme.txt of its tracking devkit
    corner_x = x + along * np.cos(turn) + across * np.sin(turn)
    corner_z = z - along * np.sin(turn) + across * np.cos(turn)
    nearest = np.argsort(corner_z, axis=0)[:2]
    return corner_z.min(axis=0), np.take_along_axis(corner_x, nearest, axis=0).mean(axis=0)
