"""The actors of the drive and their paths.

We drive towards a crossroads behind another car, meet oncoming cars between parked ones, slow down while people cross
the street and two cars cross our way, and go on over the crossing. Ids are the positions in `ACTORS`, from 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from roadmask.sample_drive import layout
from roadmask.sample_drive.bicycle import METRES_A_TURN
from roadmask.sample_drive.camera import Camera, Floats
from roadmask.sample_drive.cars import CarLook
from roadmask.sample_drive.limbs import Colour
from roadmask.sample_drive.people import STRIDE, PersonLook, Pose

Waypoint = tuple[float, float, float]
"""Time in seconds, x and z in metres; an actor moves evenly between waypoints, and straight on beyond the ends."""

AHEAD, TOWARDS_US, TO_RIGHT, TO_LEFT = 0.0, math.pi, math.pi / 2, -math.pi / 2


@dataclass(frozen=True)
class Car:
    """A car that drives along waypoints, or stands at the only one, without turning."""

    look: CarLook
    heading: float
    waypoints: tuple[Waypoint, ...]

    def place(self, seconds: float) -> tuple[float, float, float]:
        """Returns x, z and heading."""
        x, z = _along(self.waypoints, seconds)
        return x, z, self.heading


@dataclass(frozen=True)
class Person:
    """A pedestrian who walks straight from one place towards another, or stands."""

    look: PersonLook
    start: Waypoint
    velocity: tuple[float, float] = (0.0, 0.0)
    """Velocity along x and z in metres per second."""
    facing: float = 0.0
    """Heading in radians if the person stands."""

    def pose(self, seconds: float) -> Pose:
        """Returns the position and the phase of the stride."""
        began, x, z = self.start
        vx, vz = self.velocity
        speed = math.sqrt(vx * vx + vz * vz)
        elapsed = seconds - began
        if speed == 0:
            return Pose(x, z, self.facing, 0.06, 0.25)
        strides = (elapsed + 60) * speed / (STRIDE * self.look.height)
        heading = round(math.atan2(vx, vz), 9)
        return Pose(x + vx * elapsed, z + vz * elapsed, heading, strides, min(speed / 1.4, 1.1))


@dataclass(frozen=True)
class Rider:
    """A person who rides a bicycle straight from one place towards another."""

    look: PersonLook
    bicycle: Colour
    """Colour of the bicycle's frame (RGB)."""
    start: Waypoint
    velocity: tuple[float, float]
    """Velocity along x and z in metres per second; not both 0."""

    def pose(self, seconds: float) -> Pose:
        """Returns the position and the phase of the pedals, one turn as one stride."""
        began, x, z = self.start
        vx, vz = self.velocity
        elapsed = seconds - began
        turns = (elapsed + 60) * math.sqrt(vx * vx + vz * vz) / METRES_A_TURN
        return Pose(x + vx * elapsed, z + vz * elapsed, round(math.atan2(vx, vz), 9), turns)


def _along(waypoints: tuple[Waypoint, ...], seconds: float) -> tuple[float, float]:
    """Returns x and z at a time."""
    if len(waypoints) == 1:
        return waypoints[0][1:]
    last = next((i for i, w in enumerate(waypoints[1:-1], 1) if seconds < w[0]), len(waypoints) - 1)
    (t0, x0, z0), (t1, x1, z1) = waypoints[last - 1], waypoints[last]
    share = (seconds - t0) / (t1 - t0)
    return x0 + (x1 - x0) * share, z0 + (z1 - z0) * share


# Our own speed: seconds, metres a second.
_SPEED = ((0.0, 9.0), (3.0, 9.0), (5.2, 1.2), (6.8, 1.2), (8.5, 5.0), (10.0, 6.5))
_START = 12.0  # our z at the start
_STEPS = 100  # a second, to add up the speed


@cache
def _distance_table() -> tuple[Floats, Floats]:
    times = np.arange(-5 * _STEPS, 65 * _STEPS) / _STEPS
    speeds = np.interp(times, [t for t, _ in _SPEED], [v for _, v in _SPEED])
    metres = np.cumsum(speeds) / _STEPS
    return times, metres - metres[5 * _STEPS] + _START


def our_z(seconds: float) -> float:
    """Returns the position of the vehicle along the street, in metres."""
    return float(np.interp(seconds, *_distance_table()))


def camera_at(seconds: float, view: str, height: int, width: int) -> Camera:
    """Returns the camera of a view: `front` looks ahead through the windscreen, `rear` back through the rear window."""
    sway = 0.006 * math.sin(0.9 * seconds) + 0.004 * math.sin(2.3 * seconds + 1)
    nod = 0.0022 * math.sin(7.1 * seconds) + 0.003 * math.sin(2.9 * seconds + 2)
    focal = 0.87 * width
    back = view == "rear"
    return Camera(
        x=round(layout.LANE + 0.12 * math.sin(0.5 * seconds), 6),
        y=1.40,
        z=round(our_z(seconds) - (1.6 if back else 0.0), 6),
        yaw=round((math.pi if back else 0.0) + sway, 6),
        focal=focal,
        horizon=round(0.42 * height + nod * focal, 6),
        height=height,
        width=width,
    )


def _parked(body: str, colour: tuple[int, int, int], z: float, left: bool = False) -> Car:
    x = -layout.PARKED if left else layout.PARKED
    return Car(CarLook(body, colour), TOWARDS_US if left else AHEAD, ((0.0, x, z),))


_WHITE, _SILVER, _GREY, _BLACK = (226, 227, 226), (172, 176, 180), (92, 96, 102), (34, 35, 38)
_RED, _BLUE, _NAVY, _GREEN, _BROWN = (158, 26, 28), (48, 84, 150), (32, 42, 72), (42, 72, 56), (98, 74, 56)

CARS: tuple[Car, ...] = (
    # ahead of us, behind us
    Car(CarLook("saloon", _SILVER), AHEAD, ((0.0, 1.80, 28.0), (4.0, 1.75, 61.0), (10.0, 1.75, 112.0))),
    Car(
        CarLook("hatchback", _BLUE),
        AHEAD,
        ((0, 1.7, -3.0), (3.4, 1.7, 26.0), (5.4, 1.7, 38.5), (7.2, 1.7, 42.0), (10, 1.7, 55.5)),
    ),
    # oncoming
    Car(CarLook("saloon", _RED), TOWARDS_US, ((0.0, -1.75, 62.0), (10.0, -1.75, -28.0))),
    Car(CarLook("hatchback", _WHITE), TOWARDS_US, ((0.0, -1.80, 92.0), (10.0, -1.80, 2.0))),
    Car(
        CarLook("suv", _GREY),
        TOWARDS_US,
        ((2, -1.75, 114), (6, -1.75, 82.5), (7, -1.75, 80.2), (8.4, -1.75, 80), (10.4, -1.75, 72)),
    ),
    # crossing
    Car(
        CarLook("suv", _NAVY),
        TO_RIGHT,
        ((6.0, 0.0, layout.CROSSING - layout.LANE), (7.0, 8.0, layout.CROSSING - layout.LANE)),
    ),
    Car(
        CarLook("saloon", _WHITE),
        TO_LEFT,
        ((7.0, 0.0, layout.CROSSING + layout.LANE), (8.0, -8.0, layout.CROSSING + layout.LANE)),
    ),
    # parked
    _parked("hatchback", _RED, 23.5),
    _parked("suv", _GREY, 36.0),
    _parked("saloon", _BLUE, 47.5),
    _parked("saloon", _BLACK, 17.0, left=True),
    _parked("hatchback", _SILVER, 29.0, left=True),
    _parked("suv", _WHITE, 42.0, left=True),
    _parked("saloon", _GREEN, 86.0),
    _parked("hatchback", _WHITE, 99.0),
    _parked("hatchback", _BROWN, 88.0, left=True),
    _parked("saloon", _SILVER, 101.0, left=True),
    _parked("suv", _NAVY, 8.0),
    _parked("saloon", _SILVER, -6.0),
    _parked("hatchback", _GREY, -19.0),
    _parked("suv", _BROWN, 2.0, left=True),
    _parked("saloon", _RED, -12.0, left=True),
)

_DENIM, _SLATE, _KHAKI, _INK = (56, 72, 108), (58, 60, 66), (128, 112, 84), (36, 38, 46)
_FAIR, _TAN, _DARK = (222, 178, 152), (186, 138, 106), (110, 76, 58)
_ZEBRA, _FAR_ZEBRA = layout.ZEBRAS

PEOPLE: tuple[Person, ...] = (
    # crossing our street before the crossroads
    Person(PersonLook(1.80, (168, 44, 40), _DENIM, _FAIR, bag=(48, 52, 60)), (2.2, -6.5, _ZEBRA - 0.6), (1.7, 0.0)),
    Person(
        PersonLook(1.67, (88, 112, 92), _INK, _TAN, coat=True, long_hair=True), (2.2, 6.8, _ZEBRA + 0.7), (-1.5, 0.0)
    ),
    # crossing behind the crossroads; a crossing car hides him for a while
    Person(PersonLook(1.76, (206, 200, 186), _DENIM, _FAIR), (-1.5, -6.5, _FAR_ZEBRA), (1.4, 0.0)),
    # on the right pavement; the first is hidden behind a parked car for a while
    Person(
        PersonLook(1.62, (190, 150, 60), _SLATE, _FAIR, hair=(120, 86, 50), long_hair=True),
        (0.0, 6.5, 38.5),
        (0.0, 1.2),
    ),
    Person(PersonLook(1.78, (62, 84, 130), _SLATE, _TAN), (0.0, 7.4, 30.0), (0.0, -1.3)),
    Person(PersonLook(1.84, (44, 46, 50), _DENIM, _DARK, hair=(24, 20, 18)), (0.0, 8.0, 45.0), (0.0, 1.2)),
    Person(PersonLook(1.70, (200, 196, 188), _DENIM, _FAIR, sleeves=False), (0.0, 7.3, 63.0), (0.0, -1.4)),
    Person(PersonLook(1.66, (126, 58, 86), _INK, _FAIR, coat=True, long_hair=True), (0.0, 8.2, 86.0), (0.0, -1.3)),
    Person(PersonLook(1.82, (84, 92, 80), _KHAKI, _TAN, bag=(120, 60, 40)), (0.0, 7.0, 4.0), (0.0, 1.3)),
    # on the left pavement
    Person(PersonLook(1.74, (210, 208, 200), _INK, _TAN), (0.0, -7.2, 34.0), (0.0, -1.3)),
    Person(
        PersonLook(1.64, (52, 96, 120), _DENIM, _FAIR, hair=(150, 112, 62), long_hair=True),
        (0.0, -8.0, 24.0),
        (0.0, 1.3),
    ),
    Person(PersonLook(1.80, (96, 70, 54), _SLATE, _FAIR, coat=True), (0.0, -7.4, 50.0), (0.0, -1.2)),
    Person(PersonLook(1.72, (150, 40, 48), _INK, _DARK, hair=(22, 18, 16)), (0.0, -8.2, 60.0), (0.0, -1.4)),
    Person(PersonLook(1.77, (70, 74, 82), _DENIM, _FAIR), (0.0, -7.2, 78.0), (0.0, 1.1)),
    Person(PersonLook(1.70, (180, 120, 70), _SLATE, _TAN, bag=(40, 44, 70)), (0.0, -7.0, -2.0), (0.0, -1.2)),
    # seen best by the camera that looks back
    Person(PersonLook(1.79, (64, 96, 74), _DENIM, _FAIR), (0.0, -6.9, 12.0), (0.0, 0.9)),
    Person(
        PersonLook(1.66, (186, 84, 96), _SLATE, _FAIR, hair=(90, 60, 36), long_hair=True), (0.0, 7.0, 26.0), (0.0, 1.4)
    ),
    Person(PersonLook(1.75, (52, 58, 92), _KHAKI, _TAN), (0.0, -8.4, 44.0), (0.0, 0.6)),
    Person(PersonLook(1.83, (226, 222, 214), _INK, _DARK, hair=(22, 18, 16)), (0.0, 7.6, 14.0), (0.0, -1.1)),
    # waiting at the crossroads
    Person(PersonLook(1.75, (46, 62, 58), _SLATE, _FAIR), (0.0, 7.0, _FAR_ZEBRA + 0.8), facing=TOWARDS_US + 0.5),
    Person(
        PersonLook(1.68, (206, 172, 160), _DENIM, _FAIR, long_hair=True),
        (0.0, -6.9, _ZEBRA - 1.4),
        facing=TOWARDS_US - 0.6,
    ),
)

Actor = Car | Person | Rider
ACTORS: tuple[Actor, ...] = CARS + PEOPLE

TREES: tuple[tuple[float, float, float], ...] = (
    # size, x, z
    (1.0, 6.35, 33.0),
    (1.1, -6.4, 37.0),
    (0.9, -6.4, 10.0),
    (1.0, 6.4, 92.0),
    (1.1, -6.4, 94.0),
    (1.0, 6.4, 0.0),
    (1.0, -6.4, -18.0),
    (1.1, 6.4, 118.0),
    (1.0, -6.4, 120.0),
)
LAMPS: tuple[tuple[float, float], ...] = tuple(
    (side * 6.05, z) for z in (-14.0, 14.5, 51.5, 81.0, 110.0) for side in (1, -1)
)
