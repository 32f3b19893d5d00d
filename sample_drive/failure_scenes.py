"""Scenes in which masks are known to fail: night, rain, riders and a crowd, in the street of the sample drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive import layout
from roadmask.sample_drive.drive import SampleDrive
from roadmask.sample_drive.limbs import Colour
from roadmask.sample_drive.night import night
from roadmask.sample_drive.people import PersonLook
from roadmask.sample_drive.rain import rain
from roadmask.sample_drive.scene import ACTORS, CARS, Actor, Person, Rider, our_z
from roadmask.sample_drive.shot import Shot

_ZEBRA = layout.ZEBRAS[0]

Weather = Callable[[Shot, int], NDArray[np.uint8]]
"""Turns a frame of a dry day and a random seed into an (H, W, 3) RGB image."""


@dataclass(frozen=True)
class FailureScene:
    """A scene in which masks are known to fail."""

    name: str
    """Name of the scene, for files and tables."""
    actors: tuple[Actor, ...]
    """Actors in the street."""
    shown: int
    """Index of the frame to show."""
    frames: range
    """Indices of the frames to count over, so that one image does not stand for all."""
    weather: Weather | None = None
    """Weather to apply to the frame; None for a dry day."""
    without: str = ""
    """Name of the same scene without its weather."""
    people: str = "pedestrians"
    """Name of the people in the scene; all have the class pedestrian."""

    def drive(self) -> SampleDrive:
        """Returns the drive that the frames belong to."""
        return SampleDrive(actors=self.actors)

    def image(self, shot: Shot) -> NDArray[np.uint8]:
        """Returns the image of a frame of the drive with the weather of this scene, (H, W, 3) RGB; always the same."""
        return shot.image if self.weather is None else self.weather(shot, shot.index)


_PARKED = tuple(car for car in CARS if len(car.waypoints) == 1)

_TOPS: tuple[Colour, ...] = (
    (168, 44, 40), (60, 80, 120), (206, 200, 186), (44, 46, 50), (88, 112, 92), (190, 150, 60), (126, 58, 86),
    (64, 96, 74), (226, 222, 214), (52, 96, 120), (96, 70, 54), (40, 44, 70),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = ((56, 72, 108), (58, 60, 66), (128, 112, 84), (36, 38, 46))
_SKINS: tuple[Colour, ...] = ((222, 178, 152), (186, 138, 106), (110, 76, 58))
_HAIR: tuple[Colour, ...] = ((52, 38, 30), (24, 20, 18), (120, 86, 50), (150, 140, 130))


def _look(rng: np.random.Generator) -> PersonLook:
    """Returns a random look."""
    return PersonLook(
        height=float(rng.integers(158, 188)) / 100,
        top=_TOPS[rng.integers(len(_TOPS))],
        trousers=_TROUSERS[rng.integers(len(_TROUSERS))],
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        coat=bool(rng.integers(4) == 0),
        long_hair=bool(rng.integers(3) == 0),
        bag=_TOPS[rng.integers(len(_TOPS))] if rng.integers(4) == 0 else None,
        build=float(rng.integers(92, 116)) / 100,
    )


_CROWD_SECONDS = 4.0


def _crowd() -> tuple[Actor, ...]:
    """Returns two streams of people who meet on the crossing in front of the vehicle."""
    rng = np.random.default_rng(11)
    people = []
    for i in range(20):
        x = -4.9 + 0.5 * i + float(rng.integers(-15, 16)) / 100
        z = _ZEBRA + ((7 * i) % 5 - 2) * 0.5
        speed = float(rng.integers(90, 140)) / 100 * (1 if rng.integers(2) else -1)
        people.append(Person(_look(rng), (_CROWD_SECONDS, x, z), (speed, 0.0)))
    return tuple(people)


_RIDERS_SECONDS = 4.0


def _riders() -> tuple[Actor, ...]:
    """Returns riders in front of the vehicle: two cross, the others ride in its direction or towards it."""
    rng = np.random.default_rng(5)
    here = our_z(_RIDERS_SECONDS)
    rides = (
        # x, metres before us, velocity
        (-2.6, _ZEBRA - here - 0.4, (3.4, 0.0)),
        (2.2, _ZEBRA - here + 0.8, (-3.0, 0.0)),
        (3.0, 8.0, (0.0, 4.0)),
        (-3.1, 13.0, (0.0, -4.2)),
        (2.9, 21.0, (0.0, 4.4)),
        (-2.5, 22.0, (0.0, -4.0)),
        (0.2, 17.0, (0.6, 3.6)),
    )
    frames: tuple[Colour, ...] = ((176, 36, 32), (40, 90, 150), (44, 46, 50), (210, 206, 196), (60, 110, 70))
    riders = [
        Rider(_look(rng), frames[i % len(frames)], (_RIDERS_SECONDS, x, here + ahead), velocity)
        for i, (x, ahead, velocity) in enumerate(rides)
    ]
    return *_PARKED, *riders


def _evening() -> tuple[Actor, ...]:
    """Returns the actors of the sample drive, and more people on the pavements and the road."""
    rng = np.random.default_rng(3)
    places = (
        # x, z, velocity along the street
        (6.6, 56.0, 1.1), (7.2, 53.5, -1.2), (-6.6, 55.0, -1.1), (-7.4, 52.0, 1.2), (6.3, 77.0, -1.0),
        (-6.5, 76.0, 1.0), (5.3, 52.8, 0.9), (-5.2, 51.0, -1.0), (2.9, 69.0, 0.8),
    )  # fmt: skip
    extra = [Person(_look(rng), (4.4, x, z), (0.0, velocity)) for x, z, velocity in places]
    return *ACTORS, *extra


def failure_scenes() -> tuple[FailureScene, ...]:
    """Returns the scenes, in the order of the model card."""
    evening, while_they_cross = _evening(), range(84, 121, 4)
    return (
        FailureScene("night", evening, 115, range(0, 250, 20), night, "by day"),
        FailureScene("rain", evening, 120, range(0, 250, 20), rain, "dry"),
        FailureScene("riders", _riders(), 112, while_they_cross, people="riders"),
        FailureScene("crowd", _crowd(), 112, while_they_cross),
    )
