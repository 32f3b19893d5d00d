"""Bicycles and their riders, painted from the same limbs as pedestrians.

Sizes are metres, of a bicycle for somebody of 1.75 m; taller people ride larger ones. Axes: right, up, forward; the
pedals turn about a place on the ground's (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from roadmask.sample_drive.camera import Camera, turn
from roadmask.sample_drive.limbs import Colour, Limb, paint_limbs
from roadmask.sample_drive.paint import Canvas
from roadmask.sample_drive.people import PersonLook, Pose

METRES_A_TURN = 5.0
"""Distance covered by one turn of the pedals, in metres."""

Place = tuple[float, float, float]

_DRAWN_FOR = 1.75
_WHEEL, _RIM_PIECES, _SPOKES = 0.34, 16, 8
_REAR_AXLE, _FRONT_AXLE = (0.0, 0.34, -0.44), (0.0, 0.34, 0.60)
_PEDALS, _CRANK = (0.0, 0.29, 0.0), 0.17
_SEAT, _HEAD_TOP, _HEAD_LOW = (0.0, 0.90, -0.19), (0.0, 0.90, 0.41), (0.0, 0.74, 0.46)
_GRIP = (0.27, 1.03, 0.36)  # the right one
_HIP, _SHOULDER = (0.085, 0.985, -0.17), (0.19, 1.42, 0.10)  # the right ones
_THIGH, _SHIN = 0.43, 0.42
_TYRE, _STEEL, _BLACK = (30, 30, 32), (150, 152, 156), (34, 34, 36)


def paint_rider(canvas: Canvas, camera: Camera, pose: Pose, look: PersonLook, bicycle: Colour, object_id: int) -> None:
    """Paints somebody on a bicycle.

    Args:
        canvas: to paint on.
        camera: where from.
        pose: of the rider; a stride is a turn of the pedals.
        look: of the rider.
        bicycle: colour of its frame.
        object_id: of the rider; the bicycle hides what is behind it and belongs to no object.
    """
    limbs = [*_bicycle(bicycle, pose.stride), *_figure(look, pose.stride)]
    shares = [_scaled(limb, 1 / _DRAWN_FOR) for limb in limbs]
    paint_limbs(canvas, camera, shares, (pose.x, pose.z, pose.heading), look.height, object_id)


def _bicycle(colour: Colour, turns: float) -> Iterable[Limb]:
    """Returns the limbs of the frame, the wheels, the cranks and the pedals."""

    def tube(start: Place, end: Place, radius: float, tone: Colour) -> Limb:
        return Limb(start, end, radius, radius, tone, owned=False)

    for axle in (_REAR_AXLE, _FRONT_AXLE):
        rim = [_on_circle(axle, _WHEEL, i / _RIM_PIECES) for i in range(_RIM_PIECES + 1)]
        yield from (tube(start, end, 0.02, _TYRE) for start, end in pairwise(rim))
        for i in range(_SPOKES):
            yield tube(axle, _on_circle(axle, _WHEEL, (i + 8 * turns) / _SPOKES), 0.004, _STEEL)
    for start, end in (
        (_PEDALS, _SEAT),
        (_PEDALS, _HEAD_LOW),
        (_PEDALS, _REAR_AXLE),
        (_REAR_AXLE, (0.0, 0.80, -0.165)),
        ((0.0, 0.80, -0.165), _HEAD_TOP),
        (_HEAD_TOP, _HEAD_LOW),
        (_HEAD_LOW, _FRONT_AXLE),
    ):
        yield tube(start, end, 0.021, colour)
    yield tube(_HEAD_TOP, (0.0, 1.03, 0.37), 0.016, _BLACK)
    for side in (1.0, -1.0):
        x, y, z = _GRIP
        yield tube((0.0, 1.03, 0.39), (side * x, y, z), 0.016, _BLACK)
        yield tube((side * 0.04, *_PEDALS[1:]), _pedal(side, turns), 0.013, _STEEL)
    yield tube((0.0, 0.93, -0.30), (0.0, 0.945, -0.08), 0.045, _BLACK)


def _figure(look: PersonLook, turns: float) -> Iterable[Limb]:
    """Returns the limbs of a rider who sits on the saddle, leans forward and holds the handlebar."""
    b = look.build
    for side in (1.0, -1.0):
        hip = (side * _HIP[0], *_HIP[1:])
        pedal = _pedal(side, turns)
        ankle = (pedal[0], pedal[1] + 0.09, pedal[2] - 0.06)
        knee = _knee(hip, ankle)
        yield Limb(
            (ankle[0], ankle[1] - 0.02, ankle[2] - 0.03),
            (pedal[0], pedal[1] + 0.03, pedal[2] + 0.1),
            0.042,
            0.03,
            look.shoes,
        )
        yield Limb(knee, ankle, 0.063 * b, 0.044, look.trousers)
        yield Limb(hip, knee, 0.098 * b, 0.066 * b, look.trousers)
        shoulder, grip = (side * _SHOULDER[0], *_SHOULDER[1:]), (side * _GRIP[0], _GRIP[1] + 0.02, _GRIP[2])
        elbow = (side * 0.27, 1.17, 0.13)
        yield Limb(grip, (grip[0], grip[1] - 0.01, grip[2] + 0.05), 0.036, 0.03, look.skin)
        yield Limb(elbow, grip, 0.047, 0.036, look.top if look.sleeves else look.skin)
        yield Limb(shoulder, elbow, 0.063, 0.049, look.top)
        yield Limb((side * 0.09, 1.38, 0.07), (side * 0.075, 1.02, -0.15), 0.10 * b, 0.095 * b, look.top)
        yield Limb((side * 0.03, 1.44, 0.10), (side * 0.17 * b, 1.42, 0.10), 0.046, 0.052, look.top, 0.02)
    yield Limb((0.0, 1.40, 0.09), (0.0, 1.03, -0.14), 0.126 * b, 0.12 * b, look.top, 0.05)
    yield Limb((0.0, 0.97, -0.18), (0.0, 1.0, -0.15), 0.13 * b, 0.12 * b, look.trousers)
    if look.bag is not None:
        yield Limb((0.0, 1.41, -0.06), (0.0, 1.14, -0.24), 0.13, 0.13, look.bag, -0.02)
    yield Limb((0.0, 1.43, 0.11), (0.0, 1.56, 0.17), 0.062, 0.056, look.skin, 0.01)
    yield Limb((0.0, 1.67, 0.19), (0.0, 1.60, 0.22), 0.082, 0.066, look.skin, 0.03)
    yield Limb((0.0, 1.70, 0.16), (0.0, 1.67, 0.14), 0.088, 0.084, look.hair, 0.03)
    yield Limb((0.0, 1.735, 0.20), (0.0, 1.725, 0.17), 0.055, 0.07, look.hair, 0.10)
    if look.long_hair:
        yield Limb((0.0, 1.66, 0.12), (0.0, 1.50, 0.04), 0.085, 0.07, look.hair, 0.02)


def _on_circle(middle: Place, radius: float, turns: float) -> Place:
    """Returns a point on an upright circle that rolls forward; at 0 turns the point is at the top."""
    cos, sin = turn(2 * math.pi * turns)
    return middle[0], middle[1] + radius * cos, middle[2] + radius * sin


def _pedal(side: float, turns: float) -> Place:
    _, y, z = _on_circle(_PEDALS, _CRANK, turns if side > 0 else turns + 0.5)
    return side * 0.12, y, z


def _knee(hip: Place, ankle: Place) -> Place:
    """Returns the knee: where a thigh and a shin of fixed lengths meet, in front of the line from hip to ankle."""
    up, forward = ankle[1] - hip[1], ankle[2] - hip[2]
    reach = min(math.sqrt(up * up + forward * forward), _THIGH + _SHIN)
    up, forward = up / reach, forward / reach
    along = (_THIGH * _THIGH - _SHIN * _SHIN + reach * reach) / (2 * reach)
    out = math.sqrt(max(_THIGH * _THIGH - along * along, 0.0))
    middle = (hip[0] + ankle[0]) / 2
    return middle, hip[1] + up * along + forward * out, hip[2] + forward * along - up * out


def _scaled(limb: Limb, factor: float) -> Limb:
    start, end = ((x * factor, y * factor, z * factor) for x, y, z in (limb.start, limb.end))
    radii = limb.start_radius * factor, limb.end_radius * factor
    return replace(limb, start=start, end=end, start_radius=radii[0], end_radius=radii[1])
