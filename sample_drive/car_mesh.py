"""Turns the shape of a car into faces: a body lofted through its cross sections, and the parts on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import Floats, turn
from roadmask.sample_drive.car_bodies import Body
from roadmask.sample_drive.light import unit

PAINT, GLASS, TRIM, TYRE, RIM, HEADLAMP, TAILLAMP, PLATE, CHROME, UNDER, SEAM = range(11)
"""Material of a face."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Convex faces of one car with the same number of corners."""

    corners: Floats  # (K, C, 3)
    normals: Floats  # (K, 3), smoothed, for shading
    flat: Floats  # (K, 3), true, for deciding which side is seen
    material: NDArray[np.int64]  # (K,)
    layer: NDArray[np.int64]  # (K,) 0 under the body, 1 the body, more: on top of it

    @cached_property
    def middle(self) -> Floats:
        """(K, 3) middle of each face."""
        return np.asarray(self.corners.mean(axis=1))

    @cached_property
    def extent(self) -> Floats:
        """(K,) the second largest side of each face's bounding box, in metres."""
        return np.asarray(np.sort(np.ptp(self.corners, axis=1), axis=1)[:, 1])


@dataclass
class FaceBuilder:
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

    def done(self) -> Faces:
        """Returns the faces collected so far."""
        normals = np.stack(self.normals)
        material, layer = np.array(self.material), np.array(self.layer)
        return Faces(np.stack(self.corners), normals[:, 0], normals[:, 1], material, layer)


def car_mesh(body: Body, table: Floats, fine: bool) -> tuple[Faces, Faces]:
    """Returns the faces of a car: those with four corners, and round ones."""
    quads, discs = FaceBuilder(), FaceBuilder()
    _loft(quads, body, table, fine)
    _details(quads, body, table)
    _wheels(quads, discs, body, float(table[:, 4].max()))
    return quads.done(), discs.done()


def _stations(body: Body, table: Floats, fine: bool) -> Floats:
    """Places along the car where its mesh is cut: the sections, the edges of the glass, and between them."""
    edges = {float(z) for z in table[:, 0]} | set(body.windscreen) | set(body.rear_glass)
    edges |= {z for span in body.side_glass for z in span}
    cuts: list[float] = []
    ordered = sorted(edges)
    for first, last in pairwise(ordered):
        pieces = max(int((last - first) / (0.22 if fine else 0.7) + 0.5), 1)
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


_COARSE = (0, 2, 4, 6, 7, 8, 9, 10)  # ring points that a far car needs
_SIDE_WINDOW, _TOP = 7, 9  # strips between ring points 7 and 8, and from ring point 9 to the middle


def _loft(quads: FaceBuilder, body: Body, table: Floats, fine: bool) -> None:
    """Covers the body with quads, both sides alike, and closes its ends."""
    stations = _stations(body, table, fine)
    sections = np.stack([np.interp(stations, table[:, 0], table[:, c]) for c in range(1, 6)], axis=1)
    rings = np.stack([_ring(section) for section in sections])
    points = np.concatenate([rings, np.broadcast_to(stations[:, None, None], (*rings.shape[:2], 1))], axis=2)
    strips = list(pairwise(range(len(rings[0])) if fine else _COARSE))
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
            for r, above in strips:
                corners = points[[s, s, s + 1, s + 1], [r, above, above, r]] * mirror
                normal = unit(smooth[[s, s, s + 1, s + 1], [r, above, above, r]].mean(axis=0)) * mirror
                material = PAINT
                if (r == _SIDE_WINDOW and glazed) or (r == _TOP and top_glazed):
                    material = GLASS
                elif r == 0 or (r == _SIDE_WINDOW - 1 and glazed):
                    material = TRIM
                middle = corners.mean(axis=0)
                quads.add(corners, middle - (0, 0.6, 0.85 * middle[2]), material, 1, normal)
    for end, outward in ((0, -1.0), (-1, 1.0)):
        for r, above in strips:
            half = points[end, [r, above]]
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


def _details(quads: FaceBuilder, body: Body, table: Floats) -> None:
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


def _wheels(quads: FaceBuilder, discs: FaceBuilder, body: Body, half_width: float) -> None:
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
