"""Motion model of boxes: the centre keeps its velocity, and the size stays constant.

Extrapolating the size from frame to frame was measured to be worse, because boxes shrink behind obstacles and at the
edge of the image without the thing changing. Over longer gaps, what approaches must grow: see `nearer`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NS = 1_000_000_000
"""Nanoseconds in a second."""

STRETCH_MAX = 4.0
"""Maximum factor by which an approaching thing grows while it is not detected."""
SIDE_CHANGE = 0.4
"""Share of the longer side; a side that changes by more between two detections is being covered or uncovered."""


def shifted(boxes: Floats, offsets: Floats) -> Floats:
    """Returns (N, 4) boxes moved by (N, 2) offsets x, y; they may be outside the image."""
    moved: Floats = (boxes.reshape(-1, 2, 2) + offsets[:, None]).reshape(-1, 4)
    return moved


def nearer(boxes: Floats, velocities: Floats, growth: Floats, elapsed_s: Floats) -> Floats:
    """Returns (N, 4) boxes of things that moved with constant velocity in space: what approaches grows and accelerates.

    The inverse of a height changes linearly with time, as the distance does, and so does the position in multiples of
    the height. After a time t with a growth g, the size and the path v t are therefore multiplied by 1 / (1 - g t).
    The direction of the camera is not needed.

    Args:
        boxes: (N, 4) boxes at the last detection, x1, y1, x2, y2 in pixels.
        velocities: (N, 2) velocities of the centres at that time, x and y in pixels per second.
        growth: (N,) relative growth of the heights at that time, per second.
        elapsed_s: (N,) time since then in seconds.
    """
    stretch = 1 / np.maximum(1 - growth * elapsed_s, 1 / STRETCH_MAX)
    middle = centres(boxes) + velocities * (elapsed_s * stretch)[:, None]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * stretch[:, None]
    return np.concatenate([middle - half, middle + half], axis=1)


def warped(boxes: Floats, camera: Floats) -> Floats:
    """Returns (N, 4) boxes after camera motion: centres are mapped, sides are scaled as the homography does there.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the previous image.
        camera: (3, 3) homography from pixels of the previous image to pixels of this one, which must keep every box
            in front of the camera.
    """
    corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    mapped = corners @ camera[:2, :2].T + camera[:2, 2]
    mapped /= (corners @ camera[2, :2] + camera[2, 2])[..., None]
    # Opposite edges are averaged, not enclosed: a rotated image must not make boxes grow frame by frame.
    left, right = mapped[:, [0, 2], 0].mean(axis=1), mapped[:, [1, 3], 0].mean(axis=1)
    top, bottom = mapped[:, [0, 1], 1].mean(axis=1), mapped[:, [2, 3], 1].mean(axis=1)
    return np.stack([left, top, right, bottom], axis=1)


def centres(boxes: Floats) -> Floats:
    """Returns the (N, 2) centres x, y of boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def displacement(boxes: Floats, later: Floats, expected: Floats, hits: NDArray[np.int64]) -> Floats:
    """Returns the (N, 2) displacements of things, x and y in pixels, even while something covers a part of them.

    An obstacle moves one edge of a box and the centre, but not the other edge. If a side changed by more than
    `SIDE_CHANGE`, the edge or the centre is used whose displacement is nearest to the expected one; else the centre.

    Args:
        boxes: (N, 4) boxes at one detection.
        later: (N, 4) boxes at the next detection.
        expected: (N, 2) expected displacements, x and y in pixels.
        hits: (N,) number of detections before the later one; after a single one there is no expectation.
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
    """Returns (N, 2) velocities after exponential smoothing with new measurements.

    A time constant has the same effect at 3 and at 30 frames per second. The first measurement of a track is used
    without smoothing, because nothing was known before.

    Args:
        velocities: (N, 2) velocities before the measurement, in pixels per second.
        measured: (N, 2) displacements since the last detection, divided by `elapsed_s`.
        elapsed_s: (N,) time since the last detection in seconds.
        hits: (N,) number of detections before this one.
        time_constant_s: time constant in seconds; 0 uses the measurement only.
    """
    gain = np.where(hits == 1, 1.0, smoothing_gain(elapsed_s, time_constant_s))
    return velocities + gain[:, None] * (measured - velocities)


def smooth_growth(growth: Floats, boxes: Floats, later: Floats, elapsed_s: Floats, time_constant_s: float) -> Floats:
    """Returns the (N,) relative growth of heights after exponential smoothing with a new measurement.

    Args:
        growth: (N,) growth before the measurement, per second; 0 for a new track.
        boxes: (N, 4) boxes at one detection.
        later: (N, 4) boxes at the next detection.
        elapsed_s: (N,) time between them in seconds.
        time_constant_s: time constant in seconds, see `smooth_velocity`.
    """
    height = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    later_height = np.maximum(later[:, 3] - later[:, 1], 1)
    measured = np.log(later_height / height) / elapsed_s
    return growth + smoothing_gain(elapsed_s, time_constant_s) * (measured - growth)


def smoothing_gain(elapsed_s: Floats, time_constant_s: float) -> Floats:
    """Returns the (N,) weights of a new measurement in exponential smoothing, 0 to 1."""
    return 1 - np.exp(-elapsed_s / time_constant_s) if time_constant_s > 0 else np.ones_like(elapsed_s)


def whole_boxes(expected: Floats, seen: Floats, elapsed_s: Floats, fade_s: float) -> Floats:
    """Returns (N, 4) boxes of whole things, parts of which may be hidden.

    A side that became shorter is assumed to be partly hidden, less so the longer this lasts. The box stays where it
    was expected as far as it then contains the visible part.

    Args:
        expected: (N, 4) predicted boxes of the whole things.
        seen: (N, 4) boxes of their visible parts.
        elapsed_s: (N,) time since the last detection in seconds.
        fade_s: time constant in seconds with which longer sides are forgotten; 0 takes the visible part as the whole.
    """
    first, last = seen[:, :2], seen[:, 2:]
    sides = (expected[:, 2:] - expected[:, :2]) * (1 - smoothing_gain(elapsed_s, fade_s))[:, None]
    sides = np.maximum(sides, last - first)
    begin = np.clip(centres(expected) - sides / 2, last - sides, first)
    return np.concatenate([begin, begin + sides], axis=1)
