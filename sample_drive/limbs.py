"""Figures of tapered limbs, from which people and bicycles are painted.

A limb is a cone with round ends; on the canvas it is the hull of two discs, painted a few times, each time thinner,
lighter and nearer the sun, which rounds it. All sizes are shares of the figure's height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from roadmask.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.sample_drive.light import hazed
from roadmask.sample_drive.paint import Canvas, to_canvas

Colour = tuple[int, int, int]

_CORNERS = 9  # of each round end
_ARC = np.array([turn(math.pi * i / (_CORNERS - 1) - math.pi / 2) for i in range(_CORNERS)])
# Shades of a limb from its edge to its lit middle: (share of the radius, shift towards the sun, brightness).
_SHADES = ((1.0, 0.0, 0.58), (0.86, 0.10, 0.76), (0.66, 0.22, 0.93), (0.40, 0.34, 1.06))
_FINE = 45.0
"""Minimum height in pixels of a figure that is painted with all shades."""


@dataclass(frozen=True)
class Limb:
    """A cone with round ends, in fractions of the figure's height: right, up, forward."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    colour: Colour
    nearer: float = 0.0
    """Distance in metres by which the limb is moved towards the camera for the order of painting."""
    owned: bool = True
    """Whether the limb is a part of the object; a bicycle is not a part of its rider."""


def paint_limbs(
    canvas: Canvas,
    camera: Camera,
    limbs: Sequence[Limb],
    place: tuple[float, float, float],
    height: float,
    object_id: int,
) -> None:
    """Paints a figure.

    Args:
        canvas: to paint on.
        camera: where from.
        limbs: of the figure.
        place: x, z and heading (radians to the right of the street's direction).
        height: of the figure, in metres.
        object_id: of the limbs that are owned; the others belong to no object.
    """
    x, z, heading = place
    cos, sin = turn(heading)
    ends = np.array([(limb.start, limb.end) for limb in limbs]) * height
    world = np.empty_like(ends)
    world[..., 0] = ends[..., 0] * cos + ends[..., 2] * sin + x
    world[..., 1] = ends[..., 1]
    world[..., 2] = ends[..., 2] * cos - ends[..., 0] * sin + z
    pixels, depth = camera.project(world)
    if depth.min() < NEAR_METRES:
        return
    radii = np.array([(limb.start_radius, limb.end_radius) for limb in limbs]) * height * camera.focal / depth
    middle = depth.mean(axis=1)
    order = np.argsort(-(middle - [limb.nearer for limb in limbs]), kind="stable")
    pixels, radii = pixels[order], radii[order]
    colours = np.array([limb.colour for limb in limbs], np.float64)[order]
    small = height * camera.focal < _FINE * float(middle.mean())
    shades = _SHADES[::2] if small else _SHADES
    outlines = [_hulls(pixels, radii, share, shift) for share, shift, _ in shades]
    corners = to_canvas(np.stack(outlines, axis=1).reshape(-1, 2 * _CORNERS, 2))
    light = np.array([brightness for *_, brightness in shades])
    up = world[..., 1].mean(axis=1)[order] / height
    shaded = colours[:, None] * (light[None] * (0.80 + 0.22 * up)[:, None])[..., None]
    tones = hazed(shaded.reshape(-1, 3), float(middle.mean()))
    owned = np.repeat([limbs[i].owned for i in order], len(shades)).tolist()
    for mine, run in groupby(range(len(owned)), key=owned.__getitem__):
        which = list(run)
        part = slice(which[0], which[-1] + 1)
        canvas.polygons(corners[part], tones[part], object_id if mine else 0)


def _hulls(pixels: Floats, radii: Floats, share: float, shift: float) -> Floats:
    """Returns outlines of limbs, (K, 2 * _CORNERS, 2) pixels: half circles at the ends, thinned, moved to the light."""
    along = pixels[:, 1] - pixels[:, 0]
    length = np.sqrt(along[:, 0] * along[:, 0] + along[:, 1] * along[:, 1])
    short = length < 1e-6
    unit = np.where(short[:, None], (0.0, 1.0), along / np.where(short, 1.0, length)[:, None])
    corners = np.empty((len(pixels), 2 * _CORNERS, 2))
    for end, sign in ((0, -1.0), (1, 1.0)):
        radius = (radii[:, end] * share)[:, None]
        arc_cos, arc_sin = sign * _ARC[:, 0], sign * _ARC[:, 1]
        part = corners[:, end * _CORNERS : (end + 1) * _CORNERS]
        centre_x = pixels[:, end, 0] - radii[:, end] * shift
        centre_y = pixels[:, end, 1] - radii[:, end] * shift * 0.6
        part[..., 0] = centre_x[:, None] + radius * (arc_cos * unit[:, :1] - arc_sin * unit[:, 1:])
        part[..., 1] = centre_y[:, None] + radius * (arc_cos * unit[:, 1:] + arc_sin * unit[:, :1])
    return corners
