"""Where a box will be: its centre keeps its velocity, its size stays.

A size that went on changing from frame to frame was measured to be worse: boxes shrink behind obstacles and at the
image's edge, not because the thing itself does. Over a longer gap what comes nearer must grow: see `nearer`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NS = 1_000_000_000
"""Nanoseconds in a second."""

STRETCH_MAX = 4.0
"""What comes nearer is not expected to grow by a larger factor while it is not seen."""
SIDE_CHANGE = 0.4
"""A side that changes by more from one sighting to the next, as a share of the longer, is being covered or freed."""


def shifted(boxes: Floats, offsets: Floats) -> Floats:
    """Returns (N, 4) boxes moved by (N, 2) offsets x, y; they may lie outside the image."""
    moved: Floats = (boxes.reshape(-1, 2, 2) + offsets[:, None]).reshape(-1, 4)
    return moved


def nearer(boxes: Floats, velocities: Floats, growth: Floats, elapsed_s: Floats) -> Floats:
    """Returns (N, 4) boxes as things moving evenly in space are seen later: what comes nearer grows and gets faster.

    The inverse of a height changes evenly with time, as the distance does, and so does the place in multiples of the
    height. So after a time t with a growth g both the size and the way v t are stretched by 1 / (1 - g t); where the
    camera looks need not be known.

    Args:
        boxes: (N, 4) when last seen, x1, y1, x2, y2 in pixels.
        velocities: (N, 2) of the centre then, x and y in pixels per second.
        growth: (N,) of the height then, as a share per second.
        elapsed_s: (N,) seconds since.
    """
    stretch = 1 / np.maximum(1 - growth * elapsed_s, 1 / STRETCH_MAX)
    middle = centres(boxes) + velocities * (elapsed_s * stretch)[:, None]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * stretch[:, None]
    return np.concatenate([middle - half, middle + half], axis=1)


def warped(boxes: Floats, camera: Floats) -> Floats:
    """Returns (N, 4) boxes as a camera that moved sees them: centres mapped, sides scaled as the mapping does there.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the image before.
        camera: (3, 3) homography from pixels of the image before to pixels of this one; it must keep every box in
            front of the camera.
    """
    corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    mapped = corners @ camera[:2, :2].T + camera[:2, 2]
    mapped /= (corners @ camera[2, :2] + camera[2, 2])[..., None]
    # Opposite edges are averaged, not enclosed: a turn of the image must not let boxes grow frame by frame.
    left, right = mapped[:, [0, 2], 0].mean(axis=1), mapped[:, [1, 3], 0].mean(axis=1)
    top, bottom = mapped[:, [0, 1], 1].mean(axis=1), mapped[:, [2, 3], 1].mean(axis=1)
    return np.stack([left, top, right, bottom], axis=1)


def centres(boxes: Floats) -> Floats:
    """Returns the (N, 2) centres x, y of boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def displacement(boxes: Floats, later: Floats, expected: Floats, hits: NDArray[np.int64]) -> Floats:
    """Returns how far (N,) things moved, (N, 2) x and y in pixels, even while something hides a part of them.

    What covers a thing moves one edge of its box and the centre, but not the other edge. Where a side changed by more
    than `SIDE_CHANGE`, the edge or the centre counts that moved most nearly as expected; else the centre.

    Args:
        boxes: (N, 4) where each was seen.
        later: (N, 4) where it was seen next.
        expected: (N, 2) displacement by what was known before.
        hits: (N,) sightings before this one; after a single one nothing is expected yet.
    """
    moved = later - boxes
    first, last = moved[:, :2], moved[:, 2:]
    centre: Floats = (first + last) / 2
    sides, later_sides = boxes[:, 2:] - boxes[:, :2], later[:, 2:] - later[:, :2]
    covered = np.abs(last - first) > SIDE_CHANGE * np.maximum(sides, later_sides)
    covered &= (hits > 1)[:, None]
    if not covered.any():
        return centre
    by_part = np.stack([centre, first, last])
    nearest = np.where(covered, np.abs(by_part - expected).argmin(axis=0), 0)
    chosen: Floats = np.take_along_axis(by_part, nearest[None], axis=0)[0]
    return chosen


def smooth_velocity(
    velocities: Floats, measured: Floats, elapsed_s: Floats, hits: NDArray[np.int64], time_constant_s: float
) -> Floats:
    """Blends measured velocities into known ones.

    Exponential smoothing with a time constant means the same at 3 and at 30 frames per second. The first measurement
    of a track is taken whole: before it, nothing is known.

    Args:
        velocities: (N, 2) what was believed.
        measured: (N, 2) displacement since the last sighting, divided by `elapsed_s`.
        elapsed_s: (N,) seconds since the last sighting.
        hits: (N,) sightings before this one.
        time_constant_s: 0 believes the measurement alone.
    """
    gain = np.where(hits == 1, 1.0, smoothing_gain(elapsed_s, time_constant_s))
    return velocities + gain[:, None] * (measured - velocities)


def smooth_growth(growth: Floats, boxes: Floats, later: Floats, elapsed_s: Floats, time_constant_s: float) -> Floats:
    """Blends how much taller (N,) boxes got into what was believed, beginning with no growth at all.

    Args:
        growth: (N,) what was believed, as a share per second.
        boxes: (N, 4) where each was seen.
        later: (N, 4) where it was seen next.
        elapsed_s: (N,) seconds between.
        time_constant_s: as in `smooth_velocity`.
    """
    height = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    later_height = np.maximum(later[:, 3] - later[:, 1], 1)
    measured = np.log(later_height / height) / elapsed_s
    return growth + smoothing_gain(elapsed_s, time_constant_s) * (measured - growth)


def smoothing_gain(elapsed_s: Floats, time_constant_s: float) -> Floats:
    """Returns the share (N,) of a new measurement in the blend."""
    return 1 - np.exp(-elapsed_s / time_constant_s) if time_constant_s > 0 else np.ones_like(elapsed_s)


def whole_boxes(expected: Floats, seen: Floats, elapsed_s: Floats, fade_s: float) -> Floats:
    """Returns (N, 4) boxes of whole things, of which a part may be hidden.

    A side that is seen shorter than it was is taken to be partly hidden, and the less so the longer that lasts. The
    thing lies where it was expected, as far as it then holds what is seen of it.

    Args:
        expected: (N, 4) boxes of the whole things where they should be.
        seen: (N, 4) what is seen of them.
        elapsed_s: (N,) seconds since the last sighting.
        fade_s: time constant by which longer sides are forgotten; 0: what is seen is the whole.
    """
    first, last = seen[:, :2], seen[:, 2:]
    sides = (expected[:, 2:] - expected[:, :2]) * (1 - smoothing_gain(elapsed_s, fade_s))[:, None]
    sides = np.maximum(sides, last - first)
    begin = np.clip(centres(expected) - sides / 2, last - sides, first)
    return np.concatenate([begin, begin + sides], axis=1)
