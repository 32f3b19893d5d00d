"""Paints the surfaces of the street once: asphalt with its markings, pavements, house fronts, sky.

Whole numbers only, from a seeded generator, so the same textures come out everywhere.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive import layout

Texture = NDArray[np.uint8]
"""(H, W, 3) RGB image."""
Integers = NDArray[np.int32]

GROUND_RESOLUTION = 24
"""Pixels per metre of the ground texture."""
GROUND_HALF_WIDTH = 13.0
"""Distance in metres that the ground texture covers on either side; beyond it, its edge repeats."""
HOUSE_RESOLUTION = 32
"""Pixels per metre of a house front."""
HOUSE_WIDTH, HOUSE_TALLEST = 12, 16
"""Width of a house front in metres."""


def clouds(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int], octaves: int) -> Integers:
    """Returns (height, width) smooth noise around 0, about -128 to 127, of `cells` bumps each way at its coarsest."""
    total = np.zeros((height, width), np.int32)
    for octave in range(octaves):
        rows, columns = (min(c << octave, side) for c, side in zip(cells, (height, width), strict=True))
        grid = rng.integers(0, 256, (max(rows, 1), max(columns, 1)), np.uint8)
        smooth = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        total += (smooth.astype(np.int32) - 128) >> octave
    return total


def tinted(grey: Integers, tint: tuple[int, int, int]) -> Texture:
    """Returns grey values coloured: a tint of (256, 256, 256) leaves them grey."""
    levels = np.arange(256)[:, None] * np.array(tint) >> 8
    table = np.clip(levels, 0, 255).astype(np.uint8)[:, None]
    plain = np.clip(grey, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge((plain, plain, plain)), table), np.uint8)


def ground(rng: np.random.Generator) -> Texture:
    """Returns the ground from above: rows run along the street from its start, columns from left to right."""
    px = GROUND_RESOLUTION
    length = int((layout.STREET_END - layout.STREET_START) * px)
    width = int(2 * GROUND_HALF_WIDTH * px)
    x = np.abs(np.arange(width) - width // 2 + 0.5) / px
    z = (np.arange(length) + 0.5) / px + layout.STREET_START
    across = np.abs(z - layout.CROSSING)
    road = (x[None] < layout.KERB) | (across[:, None] < layout.KERB)
    edge = np.minimum(np.where(across[:, None] < layout.KERB, 9.0, np.abs(x[None] - layout.KERB)), 9.0)
    other = np.where(x[None] < layout.KERB, 9.0, np.abs(across[:, None] - layout.KERB))
    edge = np.minimum(edge, other)

    wear = clouds(rng, length, width, (length // 160, 5), 5)
    grain = rng.integers(-9, 10, (length, width), np.int32)
    tracks = (np.abs(np.abs(x - layout.LANE) - 0.75) < 0.35).astype(np.int32) * -5
    asphalt = 112 + (wear >> 3) + grain + tracks[None]
    stains = np.maximum(clouds(rng, length, width, (length // 90, 9), 3) - 70, 0)
    asphalt -= stains >> 2
    slab_px = px * 3 // 4
    joint = ((np.arange(length) % slab_px) < 1)[:, None] | ((np.arange(width) % slab_px) < 1)[None]
    slabs = rng.integers(-7, 8, (length // slab_px + 1, width // slab_px + 1)).astype(np.int32)
    slab = slabs[(np.arange(length) // slab_px)[:, None], (np.arange(width) // slab_px)[None]]
    pavement = 152 + (wear >> 4) + grain // 2 + slab - joint * 26

    asphalt = np.where(edge < 0.3, asphalt * 3 >> 2, asphalt)  # the gutter
    pavement = np.where(edge < 0.16, 176 + grain, pavement)  # the kerb
    painted = _markings(x, z, across) & (clouds(rng, length, width, (length // 30, 25), 3) < 104)
    asphalt = np.where(painted, 212 + (wear >> 3) + grain, asphalt)
    texture = tinted(asphalt, (254, 255, 258))
    cv2.copyTo(tinted(pavement, (260, 254, 244)), (~road).astype(np.uint8), texture)
    return texture


def _markings(x: NDArray[np.float64], z: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns where the road is painted white: centre line, parking bays, stop lines and zebra crossings."""
    open_road = across > layout.KERB + 6.2
    centre = (x < 0.07)[None] & (open_road & (np.mod(z, 6.0) < 3.0))[:, None]
    strip = (np.abs(x - layout.PARKING_LINE) < 0.06)[None] & (across > layout.KERB + 9.0)[:, None]
    bay = ((x > layout.PARKING_LINE) & (x < layout.KERB - 0.4))[None]
    ticks = bay & ((across > layout.KERB + 9.0) & (np.mod(z, 6.2) < 0.1))[:, None]
    stop = (x < layout.PARKING_LINE)[None] & (np.abs(across - layout.KERB - 5.6) < 0.18)[:, None]
    zebra = (np.mod(x + 0.25, 1.0) < 0.5)[None] & (np.abs(across - layout.KERB - 3.2) < layout.ZEBRA_HALF)[:, None]
    on_road = (x < layout.KERB - 0.3)[None]
    painted: NDArray[np.bool_] = centre | strip | ticks | ((stop | zebra) & on_road)
    return painted


def houses(rng: np.random.Generator, count: int) -> tuple[Texture, list[int]]:
    """Returns `count` house fronts side by side, row 0 at `HOUSE_TALLEST`, and the height of each in metres."""
    px = HOUSE_RESOLUTION
    texture = np.zeros((HOUSE_TALLEST * px, count * HOUSE_WIDTH * px, 3), np.uint8)
    tones = ((196, 182, 160), (150, 92, 74), (206, 200, 190), (170, 150, 122), (128, 84, 70), (186, 190, 192))
    heights = []
    for index in range(count):
        floors = int(rng.integers(2, 5))
        heights.append(4 + 3 * floors)
        front = texture[:, index * HOUSE_WIDTH * px : (index + 1) * HOUSE_WIDTH * px]
        _house(rng, front, tones[index % len(tones)], floors)
    return texture, heights


def _house(rng: np.random.Generator, front: Texture, tone: tuple[int, int, int], floors: int) -> None:
    """Paints one house front: wall, shop windows below, rows of windows above, a cornice on top."""
    px = HOUSE_RESOLUTION
    rows, columns = front.shape[:2]
    grain = rng.integers(-6, 7, (rows, columns), np.int32) + (clouds(rng, rows, columns, (8, 6), 4) >> 4)
    wall = np.array(tone, np.int32) + grain[..., None]
    if tone[0] > tone[2] * 3 // 2:  # bricks
        mortar = (np.arange(rows) % 4 == 0)[:, None]
        wall = wall + np.where(mortar, 14, rng.integers(-8, 9, (rows, columns), np.int32))[..., None]
    front[:] = np.clip(wall, 0, 255)

    def box(x: float, y: float, w: float, h: float, colour: tuple[int, int, int]) -> None:
        top = rows - int((y + h) * px)
        front[max(top, 0) : rows - int(y * px), max(int(x * px), 0) : int((x + w) * px)] = colour

    def glass(x: float, y: float, w: float, h: float) -> None:
        top, bottom = rows - int((y + h) * px), rows - int(y * px)
        pane = front[top:bottom, int(x * px) : int((x + w) * px)]
        dark = int(rng.integers(34, 74))
        ramp = np.linspace(dark + 34, dark, pane.shape[0]).astype(np.int32)[:, None, None]
        pane[:] = np.clip(ramp + np.array((-6, 0, 8)) + rng.integers(-3, 4, pane.shape, np.int32), 0, 255)

    box(0, 0, HOUSE_WIDTH, 0.5, (112, 106, 100))
    x = 0.5
    while x < HOUSE_WIDTH - 2.4:  # the ground floor: doors and shop windows
        if rng.integers(3) == 0:
            box(x, 0, 1.3, 2.5, (84, 66, 52))
            box(x + 0.12, 0.1, 1.06, 2.3, (62, 50, 44))
            glass(x + 0.25, 1.3, 0.8, 0.9)
            x += 1.9
        else:
            w = float(rng.integers(20, 28)) / 10
            box(x - 0.08, 0.62, w + 0.16, 2.2, (206, 202, 194))
            glass(x, 0.7, w, 2.0)
            box(x + w / 2 - 0.04, 0.7, 0.08, 2.0, (190, 186, 178))
            x += w + 0.5
    if rng.integers(2):  # an awning or a plain band above the shops
        band = ((120, 40, 38), (44, 82, 62), (52, 66, 104), (150, 128, 84))[int(rng.integers(4))]
        box(0.4, 2.9, HOUSE_WIDTH - 0.8, 0.55, band)
    box(0, 3.5, HOUSE_WIDTH, 0.15, (178, 172, 164))
    bays = int(rng.integers(4, 6))
    for floor in range(floors):
        for bay in range(bays):
            x, y = (bay + 0.5) * HOUSE_WIDTH / bays - 0.6, 4.4 + floor * 3.0
            box(x - 0.12, y - 0.14, 1.44, 1.86, (214, 208, 200))
            glass(x, y, 1.2, 1.6)
            box(x + 0.56, y, 0.08, 1.6, (206, 202, 196))
            box(x, y + 1.05, 1.2, 0.07, (206, 202, 196))
            box(x - 0.2, y - 0.24, 1.6, 0.1, (120, 114, 108))
    dusk = np.clip(200 + (rows - np.arange(rows)) * 28 // px, 0, 256)  # it darkens towards the pavement
    front[:] = (front * dusk[:, None, None].astype(np.uint16)) >> 8
    top = 4 + 3 * floors
    box(0, top - 0.5, HOUSE_WIDTH, 0.5, (168, 160, 150))
    box(0, top - 0.58, HOUSE_WIDTH, 0.08, (90, 84, 80))


def sky(rng: np.random.Generator, height: int, width: int) -> Texture:
    """Returns the sky all the way round: row `height - 1` at the horizon, where hazy trees and roofs end the view."""
    fraction: Integers = (np.arange(height, dtype=np.int32) * 256 // height)[:, None, None]
    zenith, haze = np.array((112, 150, 196), np.int32), np.array((214, 222, 226), np.int32)
    air = (zenith * (256 - fraction) + haze * fraction) >> 8
    # The panorama closes: the noise is mirrored at its middle.
    half = clouds(rng, height, width // 2, (4, 9), 5)
    puffs = np.clip(np.concatenate([half, half[:, ::-1]], axis=1) + 24, 0, 96)[..., None]
    texture = (air * (128 - puffs) + 240 * puffs) >> 7
    ridge = height - 16 - np.abs(clouds(rng, 1, width, (1, 60), 4)[0]) // 6
    below = np.arange(height)[:, None] > ridge[None]
    wood = np.array((138, 150, 146)) + rng.integers(-6, 7, (height, width), np.int32)[..., None]
    return np.asarray(np.clip(np.where(below[..., None], wood, texture), 0, 255), np.uint8)


def halved(texture: Texture, rows: bool, columns: bool) -> Texture:
    """Returns the texture with pairs of rows and/or columns averaged (odd ones at the end are dropped)."""
    if rows:
        even = texture[: len(texture) // 2 * 2].astype(np.uint16)
        texture = ((even[::2] + even[1::2] + 1) >> 1).astype(np.uint8)
    if columns:
        even = texture[:, : texture.shape[1] // 2 * 2].astype(np.uint16)
        texture = ((even[:, ::2] + even[:, 1::2] + 1) >> 1).astype(np.uint8)
    return texture
