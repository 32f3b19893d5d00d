"""Turns a frame that was drawn by day into night: street lamps, headlamps, lit windows, glare and sensor noise.

Light is reckoned in linear numbers at the place each pixel shows, falls off with the square of the distance, and
becomes an image as in a camera: exposed, with glare around lamps, with the noise of the few photons there are.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.sample_drive.cars import car_model
from roadmask.sample_drive.scene import LAMPS, Car
from roadmask.sample_drive.shot import Shot

_GAMMA = 2.2
_SKYGLOW = np.array((0.012, 0.015, 0.024))  # what there is without lamps
_SODIUM, _HALOGEN, _INDOORS = np.array((1.0, 0.78, 0.50)), np.array((1.0, 0.94, 0.80)), np.array((1.0, 0.80, 0.50))
_TAIL = np.array((1.0, 0.06, 0.04))
_LAMP_HEIGHT, _LAMP_REACH = 6.3, 1.4
_LAMP_POWER, _BEAM_POWER = 14.0, 60.0
_BEAM_SPREAD = 0.30  # tangent of the angle to the side at which a headlamp's beam has lost most of its light
_EXPOSURE = 1.5
_GLARE = ((1.2, 1.0), (5.0, 0.30), (16.0, 0.10))  # (pixels of the frame, share): a core and two halos
_PHOTONS = 800.0
"""Number of photons in a white pixel; fewer photons make more noise."""
_READ_NOISE = 0.008


def night(shot: Shot, seed: int = 0) -> NDArray[np.uint8]:
    """Returns the frame as the same camera would take it at night, (H, W, 3) RGB.

    Args:
        shot: a frame by day.
        seed: of the noise and of which windows are lit.
    """
    rng = np.random.default_rng(seed)
    colour = (shot.image / 255.0) ** _GAMMA
    light = _street_light(shot) + _our_beam(shot) + _SKYGLOW
    scene = colour * light
    sky = ~np.isfinite(shot.depth)
    scene[sky] *= 0.55
    scene += _windows(shot, rng)[..., None] * _INDOORS
    scene += _glare(shot)
    return _exposed(scene, rng)


def _street_light(shot: Shot) -> Floats:
    """Returns (H, W, 3) light of the street lamps at the place that each pixel shows."""
    points = shot.points()
    total = np.zeros(shot.depth.shape)
    for x, z in LAMPS:
        dx, dy, dz = (points[..., axis] - place for axis, place in enumerate((_lamp_head(x), _LAMP_HEIGHT, z)))
        square = np.maximum(dx * dx + dy * dy + dz * dz, 1.0)
        # The ground is lit from above; what stands is lit from the side, and shows its darker half as well.
        down = -dy / np.sqrt(square)
        facing = np.where(shot.ground, down, 0.55)
        # The head is shut above, and fades towards the horizontal.
        total += np.clip(0.04 + down * 2.2 + 0.12, 0.04, 1.0) * np.maximum(facing, 0.0) / square
    return np.asarray(total[..., None] * _LAMP_POWER * _SODIUM)


def _our_beam(shot: Shot) -> Floats:
    """Returns (H, W, 3) light of the vehicle's own dipped headlamps."""
    camera = shot.camera
    rows = np.arange(camera.height)[:, None] + 0.5 - camera.horizon
    columns = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    depth = np.maximum(np.where(np.isfinite(shot.depth), shot.depth, 1e4), NEAR_METRES)
    height = camera.y - rows / camera.focal * depth
    # The lamps are lower than the camera; above their own height they send hardly anything.
    rise = (height - 0.65) / depth
    dipped = 1 / (1 + np.exp(np.clip((rise + 0.004) / 0.006, -30, 30)))
    beam = np.exp(-((columns / _BEAM_SPREAD) ** 2))[None] * (0.05 + 0.95 * dipped)
    near = np.exp(-((rise / 0.12) ** 2))  # little goes to the ground before the bumper
    facing = np.where(shot.ground, 0.65 / depth + 0.03, 0.9)
    return np.asarray((beam * near * facing / (depth * depth) * _BEAM_POWER)[..., None] * _HALOGEN)


def _windows(shot: Shot, rng: np.random.Generator) -> Floats:
    """Returns (H, W) light of the lit windows."""
    image = shot.image.astype(np.int16)
    dark_and_bluish = (image.max(axis=2) < 112) & (image[..., 2] >= image[..., 0])
    pane = dark_and_bluish & np.isfinite(shot.depth) & (shot.ids == 0) & ~shot.ground
    pane &= shot.points()[..., 1] > 0.6
    joined = cv2.morphologyEx(pane.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    lit = np.where(rng.random(count) < 0.22, rng.uniform(0.05, 0.22, count), 0.0)
    lit[(stats[:, cv2.CC_STAT_AREA] < 6) | (np.arange(count) == 0)] = 0.0
    return np.asarray(np.where(pane, lit[labels], 0.0))


def _glare(shot: Shot) -> Floats:
    """Returns (H, W, 3) lamps that shine at the camera, with their glare."""
    spots = np.zeros((*shot.depth.shape, 3), np.float64)
    for x, z in LAMPS:
        _add_spot(spots, shot, (_lamp_head(x), _LAMP_HEIGHT, z), _SODIUM * 500, 0.22, hidden=False)
    for object_id, actor in enumerate(shot.actors, 1):
        if not isinstance(actor, Car) or len(actor.waypoints) == 1:
            continue  # a parked car is dark
        x, z, heading = actor.place(shot.seconds)
        model = car_model(actor.look.body)
        cos, sin = turn(heading)
        to_camera = (shot.camera.x - x) * sin + (shot.camera.z - z) * cos
        end, power = (1.0, _HALOGEN * 900) if to_camera > 0 else (-1.0, _TAIL * 60)
        towards = abs(to_camera) / max(np.hypot(shot.camera.x - x, shot.camera.z - z), 1.0)
        for side in (-0.72, 0.72):
            right, forward = side * model.half_width, end * model.length / 2 * 0.97
            place = (x + right * cos + forward * sin, 0.68 if end > 0 else 0.85, z - right * sin + forward * cos)
            _add_spot(spots, shot, place, power * towards**2, 0.10, hidden=True, owner=object_id)
    total = np.zeros_like(spots)
    for sigma, share in _GLARE:
        total += cv2.GaussianBlur(spots, (0, 0), sigma) * share
    return total


def _add_spot(
    spots: Floats,
    shot: Shot,
    place: tuple[float, float, float],
    power: Floats,
    radius: float,
    hidden: bool,
    owner: int = 0,
) -> None:
    """Adds a lamp of `radius` metres, unless something stands in front of it."""
    camera: Camera = shot.camera
    pixel, depth = camera.project(np.array(place))
    if depth < 1.0:
        return
    column, row = (int(v) for v in np.floor(pixel))
    height, width = shot.depth.shape
    if not (0 <= column < width and 0 <= row < height):
        return
    seen_id = int(shot.ids[row, column])
    if (hidden and seen_id != owner) or (seen_id != owner and shot.depth[row, column] < depth):
        return
    # A lamp's light reaches the sensor by the square of the distance, as its disc in the image shrinks.
    size = (radius * camera.focal / float(depth)) ** 2 * np.pi
    spots[row, column] += power * min(max(size, 0.02), 30.0) / 60


def _lamp_head(x: float) -> float:
    return x + (-_LAMP_REACH if x > 0 else _LAMP_REACH)


def _exposed(scene: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns the image that a camera takes of linear light: noise, compressed highlights, and a noise filter."""
    exposed = scene * _EXPOSURE
    grain = rng.normal(size=scene.shape) * 0.6 + rng.normal(size=(*scene.shape[:2], 1)) * 0.8
    noisy = exposed + grain * np.sqrt(np.maximum(exposed, 0.0) / _PHOTONS + _READ_NOISE**2)
    toned = (1 - np.exp(-np.maximum(noisy, 0.0))) ** (1 / _GAMMA)
    smeared = cv2.GaussianBlur(toned, (0, 0), 0.7)
    return np.asarray(np.clip(np.rint(smeared * 255), 0, 255), np.uint8)
