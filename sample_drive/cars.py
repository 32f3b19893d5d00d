"""Cars: draws the mesh of a car from any side, in any colour, with the light of the day on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.sample_drive.car_bodies import BODIES, Body
from roadmask.sample_drive.car_mesh import PAINT, car_mesh
from roadmask.sample_drive.light import hazed, lit, unit
from roadmask.sample_drive.paint import Canvas, to_canvas

_COLOURS = np.array(
    (
        (0, 0, 0),  # paint: the car's own
        (24, 29, 34),  # glass
        (34, 34, 36),  # trim
        (30, 30, 31),  # tyre
        (168, 170, 174),  # rim
        (226, 232, 238),  # head lamp
        (196, 24, 26),  # tail lamp
        (236, 236, 228),  # plate
        (176, 178, 182),  # chrome
        (16, 16, 17),  # under the car
        (40, 40, 42),  # seam
    ),
    np.float64,
)
"""Colours (RGB) of the materials, in the order of `car_mesh`."""
_GLOSS = np.array((1.2, 1.0, 0.0, 0.0, 0.3, 0.9, 0.6, 0.1, 0.9, 0.0, 0.0))
_SMALLEST = 0.6
"""Minimum size of a detail in pixels of the frame; smaller ones are left out."""
_FINE = 30.0
"""Pixels per metre from which a car is drawn with its finer mesh."""


@dataclass(frozen=True)
class CarLook:
    """The kind and the colour of a car."""

    body: str
    """Kind of car, a key of `BODIES`."""
    colour: tuple[int, int, int]
    """Colour of the paint (RGB)."""


class CarModel:
    """The mesh of one kind of car."""

    def __init__(self, body: Body) -> None:
        table = np.array(body.sections)
        self.length = float(table[-1, 0] - table[0, 0])
        self.half_width = float(table[:, 4].max())
        self.height = float(table[:, 3].max())
        self._near, self._far = (car_mesh(body, table, fine) for fine in (True, False))

    def paint(
        self, canvas: Canvas, camera: Camera, place: tuple[float, float, float], look: CarLook, object_id: int
    ) -> None:
        """Paints the car at x, z and heading (radians to the right of the street's direction)."""
        x, z, heading = place
        cos, sin = turn(heading)
        dx, dz = camera.x - x, camera.z - z
        distance = max(camera.depth(x, z), NEAR_METRES)
        eye = np.array((dx * cos - dz * sin, camera.y, dx * sin + dz * cos))  # the camera in the car's axes
        palette = _COLOURS.copy()
        palette[PAINT] = look.colour
        polygons: list[NDArray[np.int32]] = []
        colours, keys = [], []
        for faces in self._near if camera.focal > _FINE * distance else self._far:
            to_eye = eye - faces.middle
            towards = (
                to_eye[:, 0] * faces.flat[:, 0] + to_eye[:, 1] * faces.flat[:, 1] + to_eye[:, 2] * faces.flat[:, 2]
            )
            large = faces.extent * camera.focal > _SMALLEST * distance
            seen = np.flatnonzero(((towards > 0) | (faces.layer == 0)) & (large | (faces.layer == 1)))
            pixels, depth = camera.project(_to_world(faces.corners[seen], x, z, cos, sin))
            front = depth.min(axis=1) > NEAR_METRES
            seen, pixels, depth = seen[front], pixels[front], depth[front].mean(axis=1)
            material = faces.material[seen]
            normals = _to_world(faces.normals[seen], 0.0, 0.0, cos, sin)
            view = _to_world(unit(to_eye[seen]), 0.0, 0.0, cos, sin)
            shaded = lit(palette[material], _GLOSS[material], normals, view)
            shaded *= np.clip(0.62 + faces.middle[seen, 1] * 0.55, 0.0, 1.0)[:, None]  # little light reaches the sills
            polygons.extend(to_canvas(pixels))
            colours.append(hazed(shaded, depth))
            keys.append(np.stack([faces.layer[seen], np.rint(-depth * 1024).astype(np.int64)], axis=1))
        order = np.lexsort(np.concatenate(keys)[:, ::-1].T)
        canvas.polygons([polygons[i] for i in order.tolist()], np.concatenate(colours)[order], object_id)


@cache
def car_model(body: str) -> CarModel:
    """Returns the mesh of a kind of car; each mesh is made once."""
    return CarModel(BODIES[body])


def _to_world(points: Floats, x: float, z: float, cos: float, sin: float) -> Floats:
    """Transforms (..., 3) points from the axes of the car to those of the world."""
    world = np.empty_like(points)
    world[..., 0] = points[..., 0] * cos + points[..., 2] * sin + x
    world[..., 1] = points[..., 1]
    world[..., 2] = points[..., 2] * cos - points[..., 0] * sin + z
    return world
