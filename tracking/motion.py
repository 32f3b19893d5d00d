"""Where a box will be: each of its edges keeps its velocity, so a box that grows goes on growing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def predict(boxes: Floats, velocities: Floats, elapsed_s: Floats) -> Floats:
    """Moves boxes along their velocities.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        velocities: (N, 4) of these edges in pixels per second.
        elapsed_s: (N,) seconds since each box was seen.

    Returns:
        (N, 4) boxes; one that would turn inside out shrinks to its centre line instead.
    """
    moved = boxes + velocities * elapsed_s[:, None]
    inside_out = moved[:, :2] > moved[:, 2:]
    if inside_out.any():
        middle = (moved[:, :2] + moved[:, 2:]) / 2
        moved[:, :2] = np.where(inside_out, middle, moved[:, :2])
        moved[:, 2:] = np.where(inside_out, middle, moved[:, 2:])
    return moved


def smooth_velocity(
    velocities: Floats, measured: Floats, elapsed_s: Floats, hits: NDArray[Any], time_s: float
) -> Floats:
    """Blends measured velocities into known ones.

    Exponential smoothing with a time constant gives the same answer at 3 and at 30 frames per second. The first
    measurement of a track is taken whole: before it, nothing is known.

    Args:
        velocities: (N, 4) what was believed.
        measured: (N, 4) displacement since the last sighting, divided by `elapsed_s`.
        elapsed_s: (N,) seconds since the last sighting.
        hits: (N,) sightings before this one.
        time_s: time constant; 0 believes the measurement alone.
    """
    gain = 1 - np.exp(-elapsed_s / time_s) if time_s > 0 else np.ones_like(elapsed_s)
    gain = np.where(hits == 1, 1.0, gain)
    return velocities + gain[:, None] * (measured - velocities)


def centre_displacement(before: Floats, after: Floats) -> Floats:
    """Returns the (N, 2) pixels x, y by which the centres of boxes moved."""
    moved = after - before
    return (moved[:, :2] + moved[:, 2:]) / 2
