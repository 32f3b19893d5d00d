"""Pedestrians: figures of tapered limbs that walk.

A limb is a cone with round ends; on the canvas it is the hull of two discs, painted a few times, each time thinner,
lighter and nearer the sun, which rounds it. All sizes are shares of the person's height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from roadmask.demos.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.demos.sample_drive.light import hazed
from roadmask.demos.sample_drive.paint import Canvas, to_canvas

Colour = tuple[int, int, int]

_CORNERS = 9  # of each round end
_ARC = np.array([turn(math.pi * i / (_CORNERS - 1) - math.pi / 2) for i in range(_CORNERS)])
# Shades of a limb from its edge to its lit middle: (share of the radius, shift towards the sun, brightness).
_SHADES = ((1.0, 0.0, 0.58), (0.86, 0.10, 0.76), (0.66, 0.22, 0.93), (0.40, 0.34, 1.06))
_FINE = 45.0
"""Height in pixels from which a person gets all shades."""
STRIDE = 0.82
"""Length of two steps, as a share of the person's height."""


@dataclass(frozen=True)
class PersonLook:
    """What tells one pedestrian from another."""

    height: float = 1.75
    """Metres."""
    top: Colour = (60, 80, 120)
    trousers: Colour = (44, 46, 58)
    skin: Colour = (206, 160, 132)
    hair: Colour = (52, 38, 30)
    shoes: Colour = (36, 32, 32)
    coat: bool = False
    """Whether the top reaches to the knees."""
    sleeves: bool = True
    """Whether the arms are covered."""
    long_hair: bool = False
    bag: Colour | None = None
    """Colour of a bag on the back."""
    build: float = 1.0
    """Breadth, 1 for average."""


@dataclass(frozen=True)
class Pose:
    """Where a person stands and how far into a stride they are."""

    x: float
    z: float
    heading: float
    """Radians to the right of the street's direction."""
    stride: float = 0.0
    """Strides walked so far; only its fraction shows."""
    swing: float = 1.0
    """0 for somebody who stands, 1 for a brisk walk."""


@dataclass(frozen=True)
class _Limb:
    """A cone with round ends, in shares of the height: right, up, forward."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    colour: Colour
    nearer: float = 0.0
    """Metres it is moved to the camera when limbs are put in order."""


def paint_person(canvas: Canvas, camera: Camera, pose: Pose, look: PersonLook, object_id: int) -> None:
    """Paints a person."""
    limbs = _figure(pose, look)
    cos, sin = turn(pose.heading)
    ends = np.array([(limb.start, limb.end) for limb in limbs]) * look.height
    world = np.empty_like(ends)
    world[..., 0] = ends[..., 0] * cos + ends[..., 2] * sin + pose.x
    world[..., 1] = ends[..., 1]
    world[..., 2] = ends[..., 2] * cos - ends[..., 0] * sin + pose.z
    pixels, depth = camera.project(world)
    if depth.min() < NEAR_METRES:
        return
    radii = np.array([(limb.start_radius, limb.end_radius) for limb in limbs]) * look.height * camera.focal / depth
    middle = depth.mean(axis=1)
    order = np.argsort(-(middle - [limb.nearer for limb in limbs]), kind="stable")
    pixels, radii = pixels[order], radii[order]
    colours = np.array([limb.colour for limb in limbs], np.float64)[order]
    small = look.height * camera.focal < _FINE * float(middle.mean())
    shades = _SHADES[::2] if small else _SHADES
    outlines = [_hulls(pixels, radii, share, shift) for share, shift, _ in shades]
    corners = to_canvas(np.stack(outlines, axis=1).reshape(-1, 2 * _CORNERS, 2))
    light = np.array([brightness for *_, brightness in shades])
    height = world[..., 1].mean(axis=1)[order] / look.height
    shaded = colours[:, None] * (light[None] * (0.80 + 0.22 * height)[:, None])[..., None]
    canvas.polygons(corners, hazed(shaded.reshape(-1, 3), float(middle.mean())), object_id)


def _hulls(pixels: Floats, radii: Floats, share: float, shift: float) -> Floats:
    """Outlines of limbs, (K, 2 * _CORNERS, 2) pixels: a half circle at each end, thinned and moved to the light."""
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


def _figure(pose: Pose, look: PersonLook) -> list[_Limb]:
    """The limbs of a person in mid-stride, in shares of the height."""
    b, swing = look.build, pose.swing
    wave, lead = (part * swing for part in reversed(turn(2 * math.pi * pose.stride)))
    bob = 0.008 * abs(lead)
    hip, shoulder = 0.525 + bob - 0.01 * swing, 0.815 + bob
    limbs: list[_Limb] = []
    for side, phase in ((1.0, wave), (-1.0, -wave)):
        _leg(limbs, look, side, phase, lead * side, hip)
        _arm(limbs, look, side, -phase, shoulder)
    # The trunk: two halves, a middle and the shoulders.
    limbs.extend(
        _Limb((0.056 * b * s, shoulder - 0.05, 0), (0.042 * b * s, hip + 0.02, 0), 0.058 * b, 0.054 * b, look.top)
        for s in (1.0, -1.0)
    )
    limbs.append(_Limb((0, shoulder - 0.04, 0.012), (0, hip + 0.03, 0.01), 0.072 * b, 0.068 * b, look.top, 0.05))
    limbs.extend(
        _Limb((0.02 * s, shoulder + 0.012, 0), (0.098 * b * s, shoulder - 0.012, 0), 0.026, 0.030, look.top, 0.02)
        for s in (1.0, -1.0)
    )
    if look.coat:
        limbs.append(_Limb((-0.02, hip + 0.05, 0), (-0.03, 0.31, 0), 0.075 * b, 0.085 * b, look.top, 0.06))
        limbs.append(_Limb((0.02, hip + 0.05, 0), (0.03, 0.31, 0), 0.075 * b, 0.085 * b, look.top, 0.06))
    if look.bag is not None:
        limbs.append(_Limb((-0.03, shoulder - 0.03, -0.09), (-0.03, 0.62, -0.10), 0.06, 0.065, look.bag, -0.02))
        limbs.append(_Limb((0.03, shoulder - 0.03, -0.09), (0.03, 0.62, -0.10), 0.06, 0.065, look.bag, -0.02))
    limbs.append(_Limb((0, shoulder, 0.0), (0, 0.88 + bob, 0.012), 0.036, 0.032, look.skin, 0.01))
    limbs.append(_Limb((0, 0.945 + bob, 0.014), (0, 0.902 + bob, 0.022), 0.047, 0.038, look.skin, 0.03))
    limbs.append(_Limb((0, 0.958 + bob, -0.004), (0, 0.945 + bob, -0.012), 0.050, 0.048, look.hair, 0.03))
    limbs.append(_Limb((0, 0.978 + bob, 0.016), (0, 0.974 + bob, 0.0), 0.030, 0.040, look.hair, 0.10))
    if look.long_hair:
        limbs.append(_Limb((0, 0.95 + bob, -0.02), (0, 0.85 + bob, -0.03), 0.05, 0.045, look.hair, 0.02))
    return limbs


def _leg(limbs: list[_Limb], look: PersonLook, side: float, phase: float, lift: float, hip: float) -> None:
    """Adds a leg that swings forward by `phase`; `lift` above 0 bends its knee."""
    b = look.build
    thigh_cos, thigh_sin = turn(0.42 * phase)
    bend = 0.10 + 0.75 * max(lift, 0.0) * (1.0 - 0.35 * phase)
    shin_cos, shin_sin = turn(0.42 * phase - bend)
    start = (0.046 * side * b, hip - 0.01, 0.0)
    knee = (0.046 * side, hip - 0.245 * thigh_cos, 0.245 * thigh_sin)
    ankle = (0.044 * side, knee[1] - 0.235 * shin_cos, knee[2] + 0.235 * shin_sin)
    toe = (ankle[0] + 0.012 * side, max(ankle[1] - 0.022, 0.014), ankle[2] + 0.085)
    limbs.append(_Limb((ankle[0], max(ankle[1] - 0.012, 0.02), ankle[2] - 0.015), toe, 0.024, 0.017, look.shoes))
    limbs.append(_Limb(knee, ankle, 0.036 * b, 0.025, look.trousers))
    limbs.append(_Limb(start, knee, 0.056 * b, 0.038 * b, look.trousers))


def _arm(limbs: list[_Limb], look: PersonLook, side: float, phase: float, shoulder: float) -> None:
    """Adds an arm that swings forward by `phase`."""
    b = look.build
    upper_cos, upper_sin = turn(0.42 * phase - 0.04)
    lower_cos, lower_sin = turn(0.42 * phase + 0.26)
    start = (0.116 * side * b, shoulder - 0.026, 0.0)
    elbow = (0.136 * side * b, shoulder - 0.02 - 0.165 * upper_cos, 0.175 * upper_sin)
    hand = (0.132 * side * b, elbow[1] - 0.145 * lower_cos, elbow[2] + 0.145 * lower_sin)
    grip = (hand[0], hand[1] - 0.035, hand[2] + 0.008)
    limbs.append(_Limb(hand, grip, 0.020, 0.018, look.skin))
    limbs.append(_Limb(elbow, hand, 0.027, 0.020, look.top if look.sleeves else look.skin))
    limbs.append(_Limb(start, elbow, 0.036, 0.028, look.top))
