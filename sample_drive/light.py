"""Shading of surfaces on a bright day with thin clouds: light from sun, sky and ground, and weak reflections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import Floats
from roadmask.sample_drive.street import HAZE, HAZE_METRES

SUN = (-0.48, 0.74, -0.47)
"""Unit vector towards the sun: high, behind the left shoulder of a driver going along the street."""


def unit(vectors: Floats) -> Floats:
    """Returns (..., 3) vectors scaled to length 1; vectors of length 0 are unchanged."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.asarray(vectors / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-9)[..., None])


def lit(colours: Floats, gloss: Floats, normals: Floats, to_camera: Floats) -> Floats:
    """Shades surfaces.

    Args:
        colours: (N, 3) of the material, 0 to 255.
        gloss: (N,) share of mirrored sky and sun: 0 for cloth, about 1 for glass and polished paint.
        normals: (N, 3) unit vectors out of the surface, in the world's axes.
        to_camera: (N, 3) unit vectors towards the camera.

    Returns:
        (N, 3) colours, 0 to 255.
    """
    nx, ny, nz = normals[:, 0], normals[:, 1], normals[:, 2]
    sun = np.maximum(nx * SUN[0] + ny * SUN[1] + nz * SUN[2], 0.0)
    sky = 0.5 + 0.5 * ny
    light = 0.24 + 0.44 * sky + 0.56 * sun
    facing = np.clip(nx * to_camera[:, 0] + ny * to_camera[:, 1] + nz * to_camera[:, 2], 0.0, 1.0)
    # What the surface mirrors: bright above the horizon, dark houses at it, grey road below.
    up = 2 * facing * ny - to_camera[:, 1]
    mirrored = np.interp(up, (-1.0, -0.05, 0.12, 0.45, 1.0), (62.0, 74.0, 96.0, 208.0, 176.0))
    grazing = (1 - facing) * (1 - facing)
    share = gloss * (0.17 + 0.60 * grazing * (1 - facing))
    glint_x, glint_y, glint_z = (2 * facing * n - c for n, c in zip((nx, ny, nz), to_camera.T, strict=True))
    glint = np.clip(glint_x * SUN[0] + glint_y * SUN[1] + glint_z * SUN[2], 0.0, 1.0)
    for _ in range(4):  # to the 16th power
        glint = glint * glint
    tint = np.array((0.97, 1.0, 1.05))
    shaded = colours * light[:, None] * (1 - share)[:, None] + mirrored[:, None] * tint * share[:, None]
    return np.asarray(shaded + (glint * gloss * 120)[:, None])


def hazed(colours: Floats, depth: Floats | float) -> NDArray[np.uint8]:
    """Returns (N, 3) colours faded by distance as the street is, rounded."""
    share = np.minimum(np.asarray(depth) / HAZE_METRES, 0.85)[..., None]
    return np.asarray(np.clip(np.rint(colours * (1 - share) + np.array(HAZE) * share), 0, 255), np.uint8)
