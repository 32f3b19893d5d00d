"""Cars: a body lofted through cross sections, with glass, lamps, plates and wheels laid on it.

A car's own axes: x to its right, y up from the ground, z forward from its middle. `BODIES` states a few sections of
each kind of body; `CarModel` turns them into a mesh once, `CarModel.paint` draws it from any side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roadmask.demos.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.demos.sample_drive.light import hazed, lit, unit
from roadmask.demos.sample_drive.paint import Canvas, to_canvas

PAINT, GLASS, TRIM, TYRE, RIM, HEADLAMP, TAILLAMP, PLATE, CHROME, UNDER, SEAM = range(11)
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
_GLOSS = np.array((1.2, 1.0, 0.0, 0.0, 0.3, 0.9, 0.6, 0.1, 0.9, 0.0, 0.0))
_SMALLEST = 0.5
"""Pixels of the frame below which a detail is left out."""


@dataclass(frozen=True)
class Body:
    """The shape of a kind of car: rows of (z, low, belt, top, half width, half width of the roof), from the rear.

    low: lower edge of the body. belt: where the flank ends and the windows (or the bonnet) begin. top: height of the
    middle. `side_glass`: stretches of z with windows; `rear_glass`, `windscreen`: stretches of z whose top is glass.
    """

    sections: tuple[tuple[float, float, float, float, float, float], ...]
    side_glass: tuple[tuple[float, float], ...]
    rear_glass: tuple[float, float]
    windscreen: tuple[float, float]
    axles: tuple[float, float]
    wheel_radius: float = 0.33


BODIES: dict[str, Body] = {
    "saloon": Body(
        (
            (-2.26, 0.32, 0.88, 0.92, 0.76, 0.62),
            (-2.20, 0.25, 0.98, 1.03, 0.84, 0.66),
            (-1.95, 0.24, 1.02, 1.07, 0.88, 0.68),
            (-1.62, 0.22, 1.03, 1.09, 0.90, 0.66),
            (-1.00, 0.21, 1.02, 1.36, 0.91, 0.58),
            (-0.55, 0.21, 1.00, 1.45, 0.91, 0.58),
            (0.00, 0.21, 0.99, 1.47, 0.91, 0.60),
            (0.35, 0.21, 0.98, 1.43, 0.91, 0.61),
            (1.22, 0.21, 0.96, 1.02, 0.90, 0.72),
            (1.70, 0.22, 0.88, 0.95, 0.88, 0.66),
            (2.05, 0.24, 0.78, 0.85, 0.84, 0.60),
            (2.20, 0.24, 0.68, 0.74, 0.78, 0.54),
            (2.28, 0.28, 0.60, 0.63, 0.66, 0.46),
        ),
        ((-1.18, -0.50), (-0.40, 0.42), (0.48, 0.86)),
        (-1.58, -1.02),
        (0.38, 1.20),
        (-1.32, 1.42),
    ),
    "hatchback": Body(
        (
            (-2.02, 0.32, 0.94, 0.98, 0.76, 0.60),
            (-1.97, 0.25, 1.00, 1.06, 0.83, 0.62),
            (-1.84, 0.22, 1.02, 1.16, 0.86, 0.60),
            (-1.40, 0.21, 1.02, 1.39, 0.88, 0.57),
            (-1.00, 0.20, 1.00, 1.45, 0.88, 0.58),
            (-0.35, 0.20, 0.98, 1.48, 0.88, 0.59),
            (0.15, 0.20, 0.97, 1.45, 0.88, 0.60),
            (1.14, 0.20, 0.96, 1.05, 0.87, 0.72),
            (1.40, 0.21, 0.93, 1.01, 0.86, 0.70),
            (1.70, 0.22, 0.85, 0.92, 0.84, 0.63),
            (1.90, 0.23, 0.75, 0.81, 0.80, 0.56),
            (1.99, 0.24, 0.68, 0.72, 0.74, 0.50),
            (2.04, 0.28, 0.60, 0.63, 0.62, 0.44),
        ),
        ((-1.46, -0.92), (-0.80, -0.02), (0.08, 0.82)),
        (-1.82, -1.42),
        (0.20, 1.12),
        (-1.25, 1.28),
        0.32,
    ),
    "suv": Body(
        (
            (-2.24, 0.36, 1.00, 1.05, 0.80, 0.66),
            (-2.18, 0.29, 1.06, 1.14, 0.88, 0.68),
            (-2.05, 0.27, 1.08, 1.28, 0.91, 0.66),
            (-1.62, 0.26, 1.08, 1.60, 0.92, 0.63),
            (-1.10, 0.25, 1.07, 1.68, 0.93, 0.64),
            (-0.40, 0.25, 1.05, 1.71, 0.93, 0.65),
            (0.20, 0.25, 1.04, 1.67, 0.93, 0.65),
            (1.12, 0.25, 1.03, 1.12, 0.92, 0.76),
            (1.45, 0.26, 1.00, 1.08, 0.91, 0.73),
            (1.82, 0.27, 0.91, 0.98, 0.88, 0.67),
            (2.06, 0.28, 0.80, 0.86, 0.83, 0.60),
            (2.17, 0.29, 0.72, 0.77, 0.77, 0.54),
            (2.22, 0.34, 0.64, 0.67, 0.66, 0.48),
        ),
        ((-1.72, -1.02), (-0.90, -0.14), (-0.04, 0.76)),
        (-2.02, -1.65),
        (0.26, 1.09),
        (-1.38, 1.38),
        0.36,
    ),
}


@dataclass(frozen=True)
class CarLook:
    """What tells one car from another of its kind."""

    body: str
    """A key of `BODIES`."""
    colour: tuple[int, int, int]
    """Of the paint: red, green, blue."""
    braking: bool = False
    """Whether its brake lamps are lit."""


@dataclass(frozen=True, eq=False)
class _Faces:
    """Convex faces of one car with the same number of corners."""

    corners: Floats  # (K, C, 3)
    normals: Floats  # (K, 3), smoothed, for shading
    flat: Floats  # (K, 3), true, for deciding which side is seen
    material: NDArray[np.int64]  # (K,)
    layer: NDArray[np.int64]  # (K,) a higher one lies on top of a lower one

    @cached_property
    def middle(self) -> Floats:
        """(K, 3) middle of each face."""
        return np.asarray(self.corners.mean(axis=1))

    @cached_property
    def extent(self) -> Floats:
        """(K,) the second largest side of each face's bounding box, in metres."""
        return np.asarray(np.sort(np.ptp(self.corners, axis=1), axis=1)[:, 1])


@dataclass
class _Builder:
    """Collects faces."""

    corners: list[Floats] = field(default_factory=list)
    normals: list[Floats] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    layer: list[int] = field(default_factory=list)

    def add(self, corners: Floats, outward: Floats, material: int, layer: int, normal: Floats | None = None) -> None:
        """Adds a face; `outward` is any vector that points out of the car there."""
        flat = unit(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
        if not flat.any():
            flat = unit(np.cross(corners[2] - corners[0], corners[3] - corners[0]))
        flat = flat if (flat * outward).sum() >= 0 else -flat
        self.corners.append(corners)
        self.normals.append(np.stack([flat if normal is None else normal, flat]))
        self.material.append(material)
        self.layer.append(layer)

    def done(self) -> _Faces:
        normals = np.stack(self.normals)
        material, layer = np.array(self.material), np.array(self.layer)
        return _Faces(np.stack(self.corners), normals[:, 0], normals[:, 1], material, layer)


class CarModel:
    """The mesh of one kind of car."""

    def __init__(self, body: Body) -> None:
        table = np.array(body.sections)
        self.length = float(table[-1, 0] - table[0, 0])
        self.half_width = float(table[:, 4].max())
        self.height = float(table[:, 3].max())
        quads = _Builder()
        _loft(quads, body, table)
        _details(quads, body, table)
        discs = _Builder()
        _wheels(quads, discs, body, self.half_width)
        self._groups = (quads.done(), discs.done())

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
        for faces in self._groups:
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
            if look.braking:
                shaded[material == TAILLAMP] = (255, 84, 60)
            polygons.extend(to_canvas(pixels))
            colours.append(hazed(shaded, depth))
            keys.append(np.stack([faces.layer[seen], np.rint(-depth * 1024).astype(np.int64)], axis=1))
        order = np.lexsort(np.concatenate(keys)[:, ::-1].T)
        canvas.polygons([polygons[i] for i in order.tolist()], np.concatenate(colours)[order], object_id)


@cache
def car_model(body: str) -> CarModel:
    """Returns the mesh of a kind of car, made once."""
    return CarModel(BODIES[body])


def _to_world(points: Floats, x: float, z: float, cos: float, sin: float) -> Floats:
    """Turns (..., 3) points of the car's axes into the world's."""
    world = np.empty_like(points)
    world[..., 0] = points[..., 0] * cos + points[..., 2] * sin + x
    world[..., 1] = points[..., 1]
    world[..., 2] = points[..., 2] * cos - points[..., 0] * sin + z
    return world


def _stations(body: Body, table: Floats) -> Floats:
    """Places along the car where its mesh is cut: the sections, the edges of the glass, and between them."""
    edges = {float(z) for z in table[:, 0]} | set(body.windscreen) | set(body.rear_glass)
    edges |= {z for stretch in body.side_glass for z in stretch}
    cuts: list[float] = []
    ordered = sorted(edges)
    for first, last in pairwise(ordered):
        pieces = max(int((last - first) / 0.22 + 0.5), 1)
        cuts.extend(first + (last - first) * i / pieces for i in range(pieces))
    return np.array([*cuts, ordered[-1]])


def _ring(section: Floats) -> Floats:
    """Half a cross section, from the sill up to the middle of the roof: (11, 2) x and y."""
    low, belt, top, half, roof = section
    flank, house = belt - low, top - belt
    return np.array(
        (
            (half * 0.91, low),
            (half * 0.965, low + 0.10 * flank),
            (half * 0.99, low + 0.30 * flank),
            (half, low + 0.52 * flank),
            (half * 0.995, low + 0.70 * flank),
            (half * 0.975, low + 0.86 * flank),
            (half * 0.945, belt),
            (half * 0.92 if house > 0.2 else half * 0.90, belt + 0.12 * house),
            (roof + 0.05 if house > 0.2 else roof + 0.12, belt + 0.84 * house),
            (roof * 0.86, belt + 0.96 * house),
            (0.0, top),
        )
    )


_SIDE_WINDOW, _TOP = 7, 9  # strips between ring points 7 and 8, and from ring point 9 to the middle


def _loft(quads: _Builder, body: Body, table: Floats) -> None:
    """Covers the body with quads, both sides alike, and closes its ends."""
    stations = _stations(body, table)
    sections = np.stack([np.interp(stations, table[:, 0], table[:, c]) for c in range(1, 6)], axis=1)
    rings = np.stack([_ring(section) for section in sections])
    points = np.concatenate([rings, np.broadcast_to(stations[:, None, None], (*rings.shape[:2], 1))], axis=2)
    along = np.gradient(points, axis=0)
    around = np.gradient(points, axis=1)
    smooth = np.cross(along, around)
    smooth[:, -1, 0] = 0.0  # the middle of the roof belongs to both sides
    smooth = unit(smooth)
    smooth *= np.where((smooth * points * (1, 0.6, 0.3)).sum(axis=2) >= 0, 1.0, -1.0)[..., None]
    for side in (1.0, -1.0):
        mirror = np.array((side, 1.0, 1.0))
        for s in range(len(stations) - 1):
            z = float(stations[s] + stations[s + 1]) / 2
            glazed = any(first < z < last for first, last in body.side_glass)
            top_glazed = any(first < z < last for first, last in (body.rear_glass, body.windscreen))
            for r in range(10):
                corners = points[[s, s, s + 1, s + 1], [r, r + 1, r + 1, r]] * mirror
                normal = unit(smooth[[s, s, s + 1, s + 1], [r, r + 1, r + 1, r]].mean(axis=0)) * mirror
                material = PAINT
                if (r == _SIDE_WINDOW and glazed) or (r == _TOP and top_glazed):
                    material = GLASS
                elif r == 0 or (r == _SIDE_WINDOW - 1 and glazed):
                    material = TRIM
                middle = corners.mean(axis=0)
                quads.add(corners, middle - (0, 0.6, 0.85 * middle[2]), material, 1, normal)
    for end, outward in ((0, -1.0), (-1, 1.0)):
        for r in range(10):
            half = points[end, [r, r + 1]]
            corners = np.concatenate([half, half[::-1] * (-1, 1, 1)])
            quads.add(corners, np.array((0, 0, outward)), TRIM if r == 0 else PAINT, 1)
    low, ends = 0.2, (float(stations[0]) + 0.2, float(stations[-1]) - 0.2)
    width = float(table[:, 4].max()) * 0.86
    floor = np.array([(x, low, z) for x, z in zip((-width, width, width, -width), np.repeat(ends, 2), strict=True)])
    quads.add(floor, np.array((0, -1.0, 0)), UNDER, 0)
    for z in ends:  # what is seen below the bumpers
        skirt = np.array([(-width, 0.16, z), (width, 0.16, z), (width, 0.5, z), (-width, 0.5, z)])
        quads.add(skirt, np.array((0, 0, z)), UNDER, 0)
    for x in (-width, width):
        skirt = np.array([(x, 0.16, ends[0]), (x, 0.16, ends[1]), (x, 0.5, ends[1]), (x, 0.5, ends[0])])
        quads.add(skirt, np.array((x, 0, 0)), UNDER, 0)


def _details(quads: _Builder, body: Body, table: Floats) -> None:
    """Lays lamps, plates, grille, bumper strips, door seams and mirrors on the body."""

    def at(z: float) -> Floats:
        return np.array([np.interp(z, table[:, 0], table[:, c]) for c in range(1, 6)])

    def across(z: float, x: tuple[float, float], y: tuple[float, float], material: int, layer: int = 2) -> None:
        corners = np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
        quads.add(corners, np.array((0, 0, z)), material, layer)

    def both(z: float, x: tuple[float, float], y: tuple[float, float], material: int, layer: int = 2) -> None:
        across(z, x, y, material, layer)
        across(z, (-x[1], -x[0]), y, material, layer)

    rear, front = float(table[0, 0]) - 0.01, float(table[-1, 0]) + 0.01
    belt, half, low = float(table[1, 2]), float(table[1, 4]), float(table[0, 1])
    both(rear, (half - 0.34, half - 0.06), (belt - 0.24, belt - 0.06), TAILLAMP)
    both(rear, (half - 0.32, half - 0.22), (belt - 0.22, belt - 0.16), HEADLAMP, 3)
    across(rear, (-0.27, 0.27), (belt - 0.30, belt - 0.17), PLATE, 3)
    across(rear, (-half + 0.10, half - 0.10), (low - 0.02, low + 0.10), TRIM)
    across(rear, (-half + 0.36, half - 0.36), (belt - 0.13, belt - 0.105), CHROME)
    across(rear, (-half + 0.08, half - 0.08), (low + 0.24, low + 0.255), SEAM)  # where bumper and tailgate meet
    both(rear, (half - 0.35, half - 0.338), (low + 0.25, belt - 0.24), SEAM)
    nose_belt, nose_half = float(table[-2, 2]), float(table[-2, 4])
    for side in (1.0, -1.0):  # headlamps: slim, higher on the outside
        lamp = ((nose_half - 0.34, -0.10), (nose_half - 0.02, -0.05), (nose_half, 0.02), (nose_half - 0.30, -0.04))
        corners = np.array([(side * x, nose_belt + y, front - 0.05) for x, y in lamp])
        quads.add(corners, np.array((0, 0, 1.0)), HEADLAMP, 2)
    across(front, (-0.30, 0.30), (nose_belt - 0.15, nose_belt - 0.06), TRIM)
    across(front, (-0.30, 0.30), (nose_belt - 0.11, nose_belt - 0.095), CHROME, 3)
    across(front, (-0.50, 0.50), (0.27, 0.37), TRIM)
    across(front + 0.01, (-0.26, 0.26), (0.40, 0.51), PLATE, 3)
    both(front, (nose_half - 0.20, nose_half - 0.08), (0.31, 0.39), TRIM)

    seams = [last + 0.05 for _, last in body.side_glass[:-1]] + [body.side_glass[-1][1] + 0.1]
    for side in (1.0, -1.0):
        outward = np.array((side, 0, 0))

        def flank(z: tuple[float, float], y: tuple[float, float], material: int, side: float = side) -> None:
            x = side * (float(at(sum(z) / 2)[3]) + 0.004)
            corners = np.array([(x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0])])
            quads.add(corners, np.array((side, 0, 0)), material, 2)

        for z in seams:
            flank((z - 0.008, z + 0.008), (0.32, float(at(z)[1]) - 0.03), SEAM)
            flank((z - 0.30, z - 0.12), (float(at(z)[1]) - 0.17, float(at(z)[1]) - 0.13), SEAM)
        tail, nose = float(table[0, 0]), float(table[-1, 0])
        for lamp, height, material in (
            (((0.01, -0.26), (0.24, -0.22), (0.22, -0.06), (0.01, -0.04)), belt, TAILLAMP),
            (((-0.32, 0.04), (-0.10, -0.10), (-0.06, -0.02), (-0.28, 0.10)), nose_belt, HEADLAMP),
        ):
            end = tail if material == TAILLAMP else nose
            at_side = [(side * (float(at(end + z)[3]) + 0.004), height + y, end + z) for z, y in lamp]
            quads.add(np.array(at_side), outward, material, 2)
        z = body.side_glass[-1][1] - 0.06
        x, y = side * (float(at(z)[3]) + 0.07), float(at(z)[1]) + 0.09
        for face in (-0.05, 0.05):
            mirror = ((-0.08, -0.05), (0.08, -0.05), (0.07, 0.06), (-0.07, 0.06))
            quads.add(np.array([(x + dx, y + dy, z + face) for dx, dy in mirror]), np.array((0, 0, face)), PAINT, 1)
        sides = ((0.05, -0.05), (-0.05, -0.05), (-0.05, 0.06), (0.05, 0.06))
        outer = np.array([(x + side * 0.075, y + dy, z + dz) for dz, dy in sides])
        quads.add(outer, outward, PAINT, 1)


def _wheels(quads: _Builder, discs: _Builder, body: Body, half_width: float) -> None:
    """Adds wheel arches, tyres with their treads, and rims."""
    radius = body.wheel_radius
    circle = np.array([turn(2 * np.pi * i / 18) for i in range(18)])

    def disc(z: float, x: float, size: float, material: int, layer: int) -> None:
        corners = np.stack([np.full(18, x), radius + circle[:, 1] * size, z + circle[:, 0] * size], axis=1)
        discs.add(corners, np.array((x, 0, 0)), material, layer)

    for z in body.axles:
        for side in (1.0, -1.0):
            outer, inner = side * (half_width + 0.002), side * (half_width - 0.24)
            disc(z, outer, radius + 0.065, UNDER, 2)
            disc(z, outer + side * 0.002, radius, TYRE, 3)
            disc(z, outer + side * 0.004, radius * 0.66, RIM, 4)
            for i in range(5):  # gaps between the spokes
                first, last = turn(2 * np.pi * (i + 0.22) / 5), turn(2 * np.pi * (i + 0.78) / 5)
                near, far = radius * 0.24, radius * 0.56
                gap = [(near, first), (far, first), (far, last), (near, last)]
                corners = np.array([(outer + side * 0.006, radius + r * d[1], z + r * d[0]) for r, d in gap])
                quads.add(corners, np.array((side, 0, 0)), SEAM, 5)
            for i in range(18):
                (c1, s1), (c2, s2) = circle[i] * radius, circle[(i + 1) % 18] * radius
                edge = [(outer, s1, c1), (outer, s2, c2), (inner, s2, c2), (inner, s1, c1)]
                corners = np.array([(x, radius + s, z + c) for x, s, c in edge])
                quads.add(corners, np.array((0, s1 + s2, c1 + c2)), TYRE, 0)
