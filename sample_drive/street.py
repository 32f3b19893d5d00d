"""The empty street as a camera sees it: the ground row by row, house fronts column by column, the sky behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive import layout, textures
from roadmask.sample_drive.camera import Camera, Floats, turn

HAZE = (206, 214, 218)
"""Colour (RGB) of the haze, to which distant things fade."""
HAZE_COLOUR = np.array(HAZE, np.uint16)
HAZE_METRES = 420.0
"""Distance in metres over which things would fade to haze."""
_ENDLESS = 1e6  # metres
_HOUSES = 12
_LEVELS = 4
_FRACTION = 32  # cv2.remap keeps 5 bits of a pixel

# Walls of houses: (axis the wall is square to, its place on that axis, from, to), in metres.
_WALLS = (
    ("x", -layout.WALL, layout.STREET_START, layout.CORNERS[0]),
    ("x", layout.WALL, layout.STREET_START, layout.CORNERS[0]),
    ("x", -layout.WALL, layout.CORNERS[1], layout.STREET_END),
    ("x", layout.WALL, layout.CORNERS[1], layout.STREET_END),
    ("z", layout.CORNERS[0], -90.0, -layout.WALL),
    ("z", layout.CORNERS[0], layout.WALL, 90.0),
    ("z", layout.CORNERS[1], -90.0, -layout.WALL),
    ("z", layout.CORNERS[1], layout.WALL, 90.0),
)


@dataclass(frozen=True, eq=False)
class Walls:
    """The house front that each column of an image shows."""

    depth: Floats
    """(W,) distance to the nearest front in metres; infinite if there is none."""
    place: Floats
    """(W,) position along all house fronts laid end to end, in metres."""
    shade: NDArray[np.uint32]
    """(W,) light on the front, 0 to 256."""


class Street:
    """Paints the street's textures once and shows them to any camera."""

    def __init__(self, seed: int, focal: float) -> None:
        rng = np.random.default_rng(seed)
        self._ground = {(0, 0): textures.ground(rng)}
        fronts, self._heights = textures.houses(rng, _HOUSES)
        self._houses, self._level_rows = _stacked(fronts)
        self._around = int(2 * math.pi * focal)  # pixels of a full turn
        self._sky = textures.sky(rng, 400, self._around // 2 * 2)
        self._grit = rng.integers(-128, 128, (512, 512), np.int32)

    def seen_from(self, camera: Camera) -> NDArray[np.uint8]:
        """Returns what the camera sees of the empty street: (H, W, 3) RGB."""
        image = np.empty((camera.height, camera.width, 3), np.uint8)
        horizon = min(max(round(camera.horizon), 1), camera.height - 1)
        self._paint_sky(image[: horizon + 1], camera)
        self._paint_ground(image, camera, horizon)
        self._paint_walls(image, camera, walls_seen_from(camera))
        return image

    def distances(self, camera: Camera) -> Floats:
        """Returns (H, W) metres from the image plane to the empty street; infinite in the sky."""
        walls = walls_seen_from(camera)
        rows = np.arange(camera.height)[:, None] + 0.5 - camera.horizon
        floor = np.where(rows > 0, camera.focal * camera.y / np.maximum(rows, 1e-3), np.inf)
        roof = np.array(self._heights, np.float64)[(walls.place // textures.HOUSE_WIDTH).astype(np.intp) % _HOUSES]
        built = rows > -camera.focal * (roof - camera.y) / walls.depth
        return np.minimum(floor, np.where(built, walls.depth, np.inf))

    def _paint_sky(self, above: NDArray[np.uint8], camera: Camera) -> None:
        bearing = np.array([math.atan(s) for s in _slopes(camera).tolist()]) + camera.yaw
        columns = np.rint(bearing * camera.focal).astype(np.intp) % self._sky.shape[1]
        rows = np.clip(np.arange(-len(above), 0) + len(self._sky), 0, None)
        above[:] = np.take(self._sky, columns, axis=1)[rows]

    def _paint_ground(self, image: NDArray[np.uint8], camera: Camera, horizon: int) -> None:
        ray_x, ray_z = _rays(camera)
        rows = np.arange(horizon, camera.height)
        depth = camera.focal * camera.y / np.maximum(rows + 0.5 - camera.horizon, 0.25)
        levels = [self._ground_level(d, camera) for d in depth.tolist()]
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and levels[end] == levels[start]:
                end += 1
            band, d = image[rows[start] : rows[start] + end - start], depth[start:end, None]
            x = (camera.x + d * ray_x + textures.GROUND_HALF_WIDTH) * textures.GROUND_RESOLUTION
            z = (camera.z + d * ray_z - layout.STREET_START) * textures.GROUND_RESOLUTION
            across, along = levels[start]
            band[:] = _sampled(self._ground_texture(across, along), x / 2**across, z / 2**along)
            start = end
        self._add_grit(image, camera, rows, depth, ray_x, ray_z)
        _fade(image[horizon:], depth)

    def _add_grit(
        self,
        image: NDArray[np.uint8],
        camera: Camera,
        rows: NDArray[np.intp],
        depth: Floats,
        ray_x: Floats,
        ray_z: Floats,
    ) -> None:
        """Adds the grain of the asphalt that is finer than the texture, where the ground is near enough to show it."""
        near = depth < 14.0
        d = depth[near, None]
        x = np.floor((camera.x + d * ray_x) * 90).astype(np.intp) & 511
        z = np.floor((camera.z + d * ray_z) * 90).astype(np.intp) & 511
        strength = np.rint((14.0 - d) * 1.6).astype(np.int32)
        grit = ((self._grit.take(z * 512 + x) * strength) >> 7).astype(np.int16)
        if near.any():
            part = image[rows[near][0] :]
            cv2.add(part, cv2.merge((grit, grit, grit)), part, dtype=cv2.CV_8U)

    def _ground_level(self, depth: float, camera: Camera) -> tuple[int, int]:
        """Returns how often to halve the ground texture across and along the street, for a row at this depth."""
        across = depth / camera.focal * textures.GROUND_RESOLUTION
        along = across * depth / camera.y
        halvings = (round(math.log2(max(across, 1.0))), round(math.log2(max(along, 1.0))))
        return min(halvings[0], 5), min(halvings[1], 8)

    def _ground_texture(self, across: int, along: int) -> NDArray[np.uint8]:
        """Returns the halved texture, made from the next finer one when it is first needed."""
        if (across, along) not in self._ground:
            # One chain for each number of halvings across; the first halvings along are shared.
            finer = self._ground_texture(across, along - 1) if along > 0 else self._ground_texture(across - 1, 0)
            self._ground[across, along] = textures.halved(finer, rows=along > 0, columns=along == 0)
        return self._ground[across, along]

    def _paint_walls(self, image: NDArray[np.uint8], camera: Camera, walls: Walls) -> None:
        d = np.minimum(walls.depth, _ENDLESS)  # where there is no wall: one that is too far to have any height
        house = (walls.place // textures.HOUSE_WIDTH).astype(np.intp) % _HOUSES
        u = np.mod(walls.place, textures.HOUSE_WIDTH) + house * textures.HOUSE_WIDTH
        level = np.clip(np.floor(np.sqrt(d * textures.HOUSE_RESOLUTION / camera.focal)), 1, _LEVELS).astype(np.intp) - 1
        fineness = textures.HOUSE_RESOLUTION / (1 << level)
        roof = np.array(self._heights, np.float64)[house]
        bottom = camera.horizon + camera.focal * camera.y / d
        top = camera.horizon - camera.focal * (roof - camera.y) / d
        topmost = max(int(top.min()), 0)
        rows = np.arange(topmost, min(int(bottom.max()) + 1, camera.height))[:, None]
        height = camera.y + (camera.horizon - rows - 0.5) * (d / camera.focal)
        v = np.clip(textures.HOUSE_TALLEST - height, 0.0, textures.HOUSE_TALLEST - 0.05) * fineness
        limit = (textures.HOUSE_WIDTH * _HOUSES) * fineness - 1
        fronts = _sampled(self._houses, np.minimum(u * fineness, limit)[None], v + self._level_rows[level])
        haze = haze_share(d)
        light = np.repeat((walls.shade * (256 - haze)) >> 8, 3).astype(np.uint16)
        flat = fronts.reshape(len(rows), -1)
        flat[:] = (flat * light + np.tile(HAZE_COLOUR, len(d)) * np.repeat(haze, 3)) >> 8
        # Roofs and the foot of the wall have smooth edges: how much of each pixel the wall covers.
        covered = np.clip(np.minimum(rows + 1 - top, bottom - rows), 0.0, 1.0)
        part = image[topmost : topmost + len(rows)]
        whole = covered == 1.0
        edge = np.nonzero((covered > 0) & ~whole)
        weight = np.rint(covered[edge] * 256).astype(np.int32)[:, None]
        mixed = (fronts[edge] * weight + part[edge] * (256 - weight)) >> 8
        cv2.copyTo(fronts, whole.view(np.uint8), part)
        part[edge] = mixed


def walls_seen_from(camera: Camera) -> Walls:
    """Finds the house front that each column of the image sees."""
    ray_x, ray_z = _rays(camera)
    depth, place = np.full(camera.width, np.inf), np.zeros(camera.width)
    shade = np.full(camera.width, 256, np.uint32)
    for number, (axis, at, first, last) in enumerate(_WALLS):
        ray, origin = (ray_x, camera.x) if axis == "x" else (ray_z, camera.z)
        other, start = (ray_z, camera.z) if axis == "x" else (ray_x, camera.x)
        away = (at - origin) / np.where(np.abs(ray) < 1e-9, 1e-9, ray)
        along = start + away * other
        hit = (away > 0.5) & (away < depth) & (along >= first) & (along <= last)
        depth[hit] = away[hit]
        place[hit] = (along[hit] - first) + number * 5 * textures.HOUSE_WIDTH
        shade[hit] = 256 if axis == "x" else 214
    return Walls(depth, place, shade)


def _slopes(camera: Camera) -> Floats:
    """Returns (W,) distance to the right of the optical axis that each column's ray gains per metre of depth."""
    return np.asarray((np.arange(camera.width, dtype=np.float64) + 0.5 - camera.width / 2) / camera.focal)


def _rays(camera: Camera) -> tuple[Floats, Floats]:
    """Returns (W,) x and z that each column's ray gains per metre of depth."""
    cos, sin = turn(camera.yaw)
    slopes = _slopes(camera)
    return slopes * cos + sin, cos - slopes * sin


def _stacked(texture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Stacks a texture and its halvings in one image; returns it and the first row of each."""
    pieces, first_rows, row = [], [], 0
    width = texture.shape[1]
    for _ in range(_LEVELS):
        pieces.append(np.pad(texture, ((0, 1), (0, width - texture.shape[1]), (0, 0)), mode="edge"))
        first_rows.append(row)
        row += len(pieces[-1])
        texture = textures.halved(texture, rows=True, columns=True)
    return np.concatenate(pieces), np.array(first_rows, np.float64)


def _sampled(texture: NDArray[np.uint8], x: Floats, y: Floats) -> NDArray[np.uint8]:
    """Samples a texture bilinearly, in fixed point, at places given in its pixels; beyond its edges they repeat."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    whole = np.empty((*shape, 2), np.int16)
    fixed_x, fixed_y = (
        np.rint(np.clip(values - 0.5, 0, side - 1) * _FRACTION).astype(np.int32)
        for values, side in ((x, texture.shape[1]), (y, texture.shape[0]))
    )
    whole[..., 0], whole[..., 1] = fixed_x >> 5, fixed_y >> 5
    fraction = ((fixed_x & (_FRACTION - 1)) + ((fixed_y & (_FRACTION - 1)) << 5)).astype(np.uint16)
    return np.asarray(cv2.remap(texture, whole, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def haze_share(depth: Floats) -> NDArray[np.uint16]:
    """Returns the amount of haze at a depth, 0 to 256."""
    return np.asarray(np.rint(np.minimum(depth / HAZE_METRES, 0.85) * 256), np.uint16)


def _fade(image: NDArray[np.uint8], depth: Floats) -> None:
    """Mixes haze into (H, W, 3) pixels, the more the greater the (H,) depth of their row."""
    share = haze_share(depth)[:, None]
    flat = image.reshape(len(image), -1)
    flat[:] = (flat * (256 - share) + np.tile(HAZE_COLOUR, image.shape[1]) * share) >> 8
