"""Pedestrians: walking figures of tapered limbs. All sizes are fractions of the person's height."""

from __future__ import annotations

import math
from dataclasses import dataclass

from roadmask.sample_drive.camera import Camera, turn
from roadmask.sample_drive.limbs import Colour, Limb, paint_limbs
from roadmask.sample_drive.paint import Canvas

STRIDE = 0.82
"""Length of two steps, as a fraction of the person's height."""


@dataclass(frozen=True)
class PersonLook:
    """The size, the clothes and the colours of a pedestrian."""

    height: float = 1.75
    """Height in metres."""
    top: Colour = (60, 80, 120)
    trousers: Colour = (44, 46, 58)
    skin: Colour = (206, 160, 132)
    hair: Colour = (52, 38, 30)
    shoes: Colour = (36, 32, 32)
    coat: bool = False
    """Whether the top reaches down to the knees."""
    sleeves: bool = True
    """Whether the arms are covered."""
    long_hair: bool = False
    bag: Colour | None = None
    """Colour of the bag on the back (RGB), or None for no bag."""
    build: float = 1.0
    """Breadth relative to the average."""


@dataclass(frozen=True)
class Pose:
    """The position of a person and the phase of their stride."""

    x: float
    z: float
    heading: float
    """Heading in radians to the right of the direction of the street."""
    stride: float = 0.0
    """Number of strides walked so far; only its fraction is visible."""
    swing: float = 1.0
    """Amplitude of the stride: 0 for standing, 1 for a brisk walk."""


def paint_person(canvas: Canvas, camera: Camera, pose: Pose, look: PersonLook, object_id: int) -> None:
    """Paints a person."""
    paint_limbs(canvas, camera, _figure(pose, look), (pose.x, pose.z, pose.heading), look.height, object_id)


def _figure(pose: Pose, look: PersonLook) -> list[Limb]:
    """Returns the limbs of a person in mid-stride, in fractions of the height."""
    b, swing = look.build, pose.swing
    wave, lead = (part * swing for part in reversed(turn(2 * math.pi * pose.stride)))
    bob = 0.008 * abs(lead)
    hip, shoulder = 0.525 + bob - 0.01 * swing, 0.815 + bob
    limbs: list[Limb] = []
    for side, phase in ((1.0, wave), (-1.0, -wave)):
        _leg(limbs, look, side, phase, lead * side, hip)
        _arm(limbs, look, side, -phase, shoulder)
    # The trunk: two halves, a middle and the shoulders.
    limbs.extend(
        Limb((0.056 * b * s, shoulder - 0.05, 0), (0.042 * b * s, hip + 0.02, 0), 0.058 * b, 0.054 * b, look.top)
        for s in (1.0, -1.0)
    )
    limbs.append(Limb((0, shoulder - 0.04, 0.012), (0, hip + 0.03, 0.01), 0.072 * b, 0.068 * b, look.top, 0.05))
    limbs.extend(
        Limb((0.02 * s, shoulder + 0.012, 0), (0.098 * b * s, shoulder - 0.012, 0), 0.026, 0.030, look.top, 0.02)
        for s in (1.0, -1.0)
    )
    if look.coat:
        limbs.append(Limb((-0.02, hip + 0.05, 0), (-0.03, 0.31, 0), 0.075 * b, 0.085 * b, look.top, 0.06))
        limbs.append(Limb((0.02, hip + 0.05, 0), (0.03, 0.31, 0), 0.075 * b, 0.085 * b, look.top, 0.06))
    if look.bag is not None:
        limbs.append(Limb((-0.03, shoulder - 0.03, -0.09), (-0.03, 0.62, -0.10), 0.06, 0.065, look.bag, -0.02))
        limbs.append(Limb((0.03, shoulder - 0.03, -0.09), (0.03, 0.62, -0.10), 0.06, 0.065, look.bag, -0.02))
    limbs.append(Limb((0, shoulder, 0.0), (0, 0.88 + bob, 0.012), 0.036, 0.032, look.skin, 0.01))
    limbs.append(Limb((0, 0.945 + bob, 0.014), (0, 0.902 + bob, 0.022), 0.047, 0.038, look.skin, 0.03))
    limbs.append(Limb((0, 0.958 + bob, -0.004), (0, 0.945 + bob, -0.012), 0.050, 0.048, look.hair, 0.03))
    limbs.append(Limb((0, 0.978 + bob, 0.016), (0, 0.974 + bob, 0.0), 0.030, 0.040, look.hair, 0.10))
    if look.long_hair:
        limbs.append(Limb((0, 0.95 + bob, -0.02), (0, 0.85 + bob, -0.03), 0.05, 0.045, look.hair, 0.02))
    return limbs


def _leg(limbs: list[Limb], look: PersonLook, side: float, phase: float, lift: float, hip: float) -> None:
    """Adds a leg that swings forward by `phase`; `lift` above 0 bends its knee."""
    b = look.build
    thigh_cos, thigh_sin = turn(0.42 * phase)
    bend = 0.10 + 0.75 * max(lift, 0.0) * (1.0 - 0.35 * phase)
    shin_cos, shin_sin = turn(0.42 * phase - bend)
    start = (0.046 * side * b, hip - 0.01, 0.0)
    knee = (0.046 * side, hip - 0.245 * thigh_cos, 0.245 * thigh_sin)
    ankle = (0.044 * side, knee[1] - 0.235 * shin_cos, knee[2] + 0.235 * shin_sin)
    toe = (ankle[0] + 0.012 * side, max(ankle[1] - 0.022, 0.014), ankle[2] + 0.085)
    limbs.append(Limb((ankle[0], max(ankle[1] - 0.012, 0.02), ankle[2] - 0.015), toe, 0.024, 0.017, look.shoes))
    limbs.append(Limb(knee, ankle, 0.036 * b, 0.025, look.trousers))
    limbs.append(Limb(start, knee, 0.056 * b, 0.038 * b, look.trousers))


def _arm(limbs: list[Limb], look: PersonLook, side: float, phase: float, shoulder: float) -> None:
    """Adds an arm that swings forward by `phase`."""
    b = look.build
    upper_cos, upper_sin = turn(0.42 * phase - 0.04)
    lower_cos, lower_sin = turn(0.42 * phase + 0.26)
    start = (0.116 * side * b, shoulder - 0.026, 0.0)
    elbow = (0.136 * side * b, shoulder - 0.02 - 0.165 * upper_cos, 0.175 * upper_sin)
    hand = (0.132 * side * b, elbow[1] - 0.145 * lower_cos, elbow[2] + 0.145 * lower_sin)
    grip = (hand[0], hand[1] - 0.035, hand[2] + 0.008)
    limbs.append(Limb(hand, grip, 0.020, 0.018, look.skin))
    limbs.append(Limb(elbow, hand, 0.027, 0.020, look.top if look.sleeves else look.skin))
    limbs.append(Limb(start, elbow, 0.036, 0.028, look.top))
