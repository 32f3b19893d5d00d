"""Draws the scene: the street, the shadows, then all actors from the farthest to the nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive import layout, scene
from roadmask.sample_drive.bicycle import paint_rider
from roadmask.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.sample_drive.cars import car_model
from roadmask.sample_drive.light import SUN
from roadmask.sample_drive.paint import FINENESS, Canvas
from roadmask.sample_drive.people import paint_person
from roadmask.sample_drive.props import TreeImage, paint_lamp
from roadmask.sample_drive.street import Street, Walls, walls_seen_from

_FARTHEST = 130.0
"""Maximum distance of drawn actors in metres."""
_SHADE = (24, 46, 66, 84, 100)  # of 255: from the rim of a shadow to its core
_CONTACT = 200  # of 255: under a car


@dataclass(frozen=True)
class _Thing:
    """Something on the map that can be painted."""

    low: tuple[float, float]
    """Smallest x and z in metres."""
    high: tuple[float, float]
    """Largest x and z in metres."""
    height: float
    object_id: int
    paint: Callable[[Canvas], None]
    solid: bool = False
    """Whether the shadow is that of a car: as wide as the thing, and darkest below it."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The objects that a frame shows."""

    ids: NDArray[np.uint8]
    """(H, W) id of the object seen in each pixel, 0 for none."""
    visible_fraction: dict[int, float]
    """Object id -> visible fraction of the pixels that it would cover if nothing were in front of it."""


class Renderer:
    """Draws the scene at any time from any camera."""

    def __init__(self, seed: int, focal: float) -> None:
        self._street = Street(seed, focal)
        self._tree = TreeImage(np.random.default_rng(seed + 1))

    def draw(
        self,
        seconds: float,
        camera: Camera,
        without: frozenset[int] = frozenset(),
        actors: Sequence[scene.Actor] = scene.ACTORS,
    ) -> tuple[NDArray[np.uint8], Seen]:
        """Draws a frame.

        Args:
            seconds: since the start of the drive.
            camera: where from.
            without: ids of objects that are not drawn, nor their shadows.
            actors: who is in the street; ids are their positions, from 1.

        Returns:
            The image, (H, W, 3) RGB before the camera's own marks on it, and what it shows.
        """
        things = self._things(seconds, camera, without, actors)
        image = self._street.seen_from(camera)
        _cast_shadows(image, camera, [t for t in things if t.object_id])
        canvas = Canvas.over(image)
        seen = _paint_all(canvas, camera, things)
        return canvas.frame(), seen

    def distances(self, camera: Camera) -> Floats:
        """Returns (H, W) metres from the image plane to the empty street; infinite in the sky."""
        return self._street.distances(camera)

    def trace(self, seconds: float, camera: Camera, actors: Sequence[scene.Actor] = scene.ACTORS) -> Seen:
        """Returns the objects that a frame shows, without drawing the street, in half the time."""
        things = self._things(seconds, camera, frozenset(), actors)
        return _paint_all(Canvas.blank(camera.height, camera.width), camera, things)

    def _things(
        self, seconds: float, camera: Camera, without: frozenset[int], actors: Sequence[scene.Actor]
    ) -> list[_Thing]:
        """Returns all things in view."""
        things = []
        for object_id, actor in enumerate(actors, 1):
            if isinstance(actor, scene.Car):
                things.append(_car(actor, seconds, camera, object_id))
            elif isinstance(actor, scene.Rider):
                things.append(_rider(actor, seconds, camera, object_id))
            else:
                things.append(_person(actor, seconds, camera, object_id))
        for size, x, z in scene.TREES:

            def tree(canvas: Canvas, x: float = x, z: float = z, size: float = size) -> None:
                self._tree.paint(canvas, camera, x, z, size)

            things.append(_Thing((x - 0.2, z - 0.2), (x + 0.2, z + 0.2), 8.0, 0, tree))
        for x, z in scene.LAMPS:

            def lamp(canvas: Canvas, x: float = x, z: float = z) -> None:
                paint_lamp(canvas, camera, x, z)

            things.append(_Thing((x - 0.1, z - 0.1), (x + 0.1, z + 0.1), 6.5, 0, lamp))
        return [t for t in things if t.object_id not in without and _in_view(t, camera)]


def _paint_all(canvas: Canvas, camera: Camera, things: list[_Thing]) -> Seen:
    """Paints things onto the empty street and tracks the visible pixels of each."""
    walls = walls_seen_from(camera)
    covered: dict[int, tuple[int, tuple[slice, slice]]] = {}
    for thing in _farthest_first(things, camera):
        region = _region(canvas, camera, thing)
        if region is None:
            continue
        behind = _behind_walls(walls, camera, thing, region)
        before = canvas.pixels[region].copy() if len(behind) else None
        thing.paint(canvas)
        if thing.object_id:
            count = int(np.count_nonzero(canvas.pixels[region][..., 3] == thing.object_id))
            covered[thing.object_id] = count, region
        if before is not None:
            canvas.pixels[region][:, behind] = before[:, behind]
    ids = canvas.pixels[..., 3].copy()
    fraction = {
        key: int(np.count_nonzero(ids[region] == key)) / count for key, (count, region) in covered.items() if count
    }
    return Seen(canvas.ids(), fraction)


def _car(car: scene.Car, seconds: float, camera: Camera, object_id: int) -> _Thing:
    model = car_model(car.look.body)
    x, z, heading = car.place(seconds)
    half_x, half_z = _half_sides(heading, model.half_width, model.length / 2)

    def paint(canvas: Canvas) -> None:
        model.paint(canvas, camera, (x, z, heading), car.look, object_id)

    return _Thing((x - half_x, z - half_z), (x + half_x, z + half_z), model.height, object_id, paint, solid=True)


def _half_sides(heading: float, half_width: float, half_length: float) -> tuple[float, float]:
    """Returns how far a rotated thing reaches from its middle, along the map's x and z."""
    cos, sin = (abs(v) for v in turn(heading))
    return cos * half_width + sin * half_length, sin * half_width + cos * half_length


def _rider(rider: scene.Rider, seconds: float, camera: Camera, object_id: int) -> _Thing:
    pose = rider.pose(seconds)
    half_x, half_z = _half_sides(pose.heading, 0.3, 0.9)

    def paint(canvas: Canvas) -> None:
        paint_rider(canvas, camera, pose, rider.look, rider.bicycle, object_id)

    low, high = (pose.x - half_x, pose.z - half_z), (pose.x + half_x, pose.z + half_z)
    return _Thing(low, high, rider.look.height, object_id, paint)


def _person(person: scene.Person, seconds: float, camera: Camera, object_id: int) -> _Thing:
    pose = person.pose(seconds)

    def paint(canvas: Canvas) -> None:
        paint_person(canvas, camera, pose, person.look, object_id)

    low, high = (pose.x - 0.3, pose.z - 0.3), (pose.x + 0.3, pose.z + 0.3)
    return _Thing(low, high, person.look.height, object_id, paint)


def _footprint(thing: _Thing) -> Floats:
    """Returns the (4, 3) corners on the ground, in order around the thing."""
    (x1, z1), (x2, z2) = thing.low, thing.high
    return np.array(((x1, 0, z1), (x2, 0, z1), (x2, 0, z2), (x1, 0, z2)), np.float64)


def _in_view(thing: _Thing, camera: Camera) -> bool:
    depth = camera.depth((thing.low[0] + thing.high[0]) / 2, (thing.low[1] + thing.high[1]) / 2)
    return -4.0 < depth < _FARTHEST


def _region(canvas: Canvas, camera: Camera, thing: _Thing) -> tuple[slice, slice] | None:
    """Returns the part of the canvas that a thing may cover; None if it is out of view."""
    corners = _footprint(thing) + np.array((((0, 0, 0),), ((0, thing.height, 0),)))
    pixels, depth = camera.project(corners)
    if depth.max() < NEAR_METRES:
        return None
    margin = 3.0 * camera.focal / max(float(depth.min()), 1.0) if thing.object_id == 0 else 6.0
    (left, top), (right, bottom) = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    return canvas.region(left - margin, top - margin, right + margin, bottom + margin)


def _behind_walls(walls: Walls, camera: Camera, thing: _Thing, region: tuple[slice, slice]) -> NDArray[np.intp]:
    """Returns the columns of a region of the canvas in which a house hides a thing."""
    if thing.low[0] > -layout.WALL and thing.high[0] < layout.WALL:
        return np.zeros(0, np.intp)
    depth = camera.depth((thing.low[0] + thing.high[0]) / 2, (thing.low[1] + thing.high[1]) / 2)
    return np.flatnonzero(np.repeat(walls.depth < depth, FINENESS)[region[1]])


def _farthest_first(things: list[_Thing], camera: Camera) -> list[_Thing]:
    """Sorts things so that each is painted before the things that may hide parts of it.

    Depth alone does not do: a pedestrian abreast of the middle of a car is behind it when the camera looks past its
    flank. Of two things that a line along or across the street keeps apart, the one on the camera's side hides.
    """
    low, high = np.array([t.low for t in things]), np.array([t.high for t in things])
    eye = np.array((camera.x, camera.z))
    apart_before = high[:, None] <= low[None]  # (N, N, axis): thing i ends before thing j begins
    on_my_side = apart_before & (eye < low[None])
    on_my_side |= apart_before.swapaxes(0, 1) & (eye > high[None])
    not_hidden_by = on_my_side.any(axis=2)  # i cannot be hidden by j
    waits_for = not_hidden_by & ~not_hidden_by.T  # i is painted after j
    distance = (np.maximum(np.maximum(low - eye, eye - high), 0.0) ** 2).sum(axis=1)
    order: list[_Thing] = []
    left = np.ones(len(things), bool)
    while left.any():
        free = left & ~(waits_for & left[None]).any(axis=1)
        # Where things wait for each other in a ring, the farthest goes first.
        candidates = np.flatnonzero(free if free.any() else left)
        chosen = candidates[np.argmax(distance[candidates])]
        order.append(things[chosen])
        left[chosen] = False
    return order


def _cast_shadows(image: NDArray[np.uint8], camera: Camera, things: list[_Thing]) -> None:
    """Darkens the ground on the far side of things from the sun, and under cars."""
    if not things:
        return
    shade = np.zeros(image.shape[:2], np.uint8)
    layers: list[tuple[int, Floats]] = []
    for thing in things:
        base = _footprint(thing)
        middle = base.mean(axis=0)
        car = thing.solid
        reach = np.array((-SUN[0] / SUN[1], 0.0, -SUN[2] / SUN[1])) * thing.height * (0.86 if car else 1.0)
        for share, strength in zip((1.06, 0.99, 0.92, 0.85, 0.78), _SHADE, strict=True):
            near = middle + (base - middle) * share * (1.0 if car else 0.5)
            far = middle + reach * share + (base - middle) * share * (0.7 if car else 0.5)
            layers.append((strength, np.concatenate([near, far])))
        if car:
            for i in range(6):
                under = middle + (base - middle) * (1.04 - 0.03 * i)
                layers.append((_CONTACT * (i + 2) // 7, np.concatenate([under, under])))
    layers.sort(key=lambda layer: layer[0])
    pixels, depth = camera.project(np.stack([points for _, points in layers]))
    corners = np.rint((pixels - 0.5) * 16).astype(np.int32)
    in_front = depth.min(axis=1) > NEAR_METRES
    for (strength, _), polygon, drawable in zip(layers, corners, in_front.tolist(), strict=True):
        if drawable:
            cv2.fillConvexPoly(shade, cv2.convexHull(polygon), (strength,), cv2.LINE_AA, 4)
    rows = np.flatnonzero(shade.any(axis=1))
    if len(rows):
        part = slice(rows[0], rows[-1] + 1)
        light = 256 - cv2.merge((shade[part],) * 3).astype(np.uint16)
        image[part] = (image[part] * light) >> 8
