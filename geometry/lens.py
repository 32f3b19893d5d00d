"""Removes the lens's distortion from points. Images are never undistorted: only the points that are measured."""

from __future__ import annotations

import numpy as np

from roadmask.geometry.calibration import Calibration, Floats

_ITERATIONS, _TOLERANCE = 40, 1e-10


def rays_of(calibration: Calibration, points: Floats) -> Floats:
    """Returns the (N, 2) x / z and y / z of the rays through (N, 2) points x, y in pixels, without distortion.

    Points outside the part of the image that the model describes give NaN.
    """
    import cv2  # noqa: PLC0415 - importing this room stays cheap

    points = np.asarray(points, np.float64).reshape(-1, 1, 2)
    if not len(points):
        return np.zeros((0, 2))
    if not any(calibration.distortion) and calibration.distortion_model != "equidistant":
        plain: Floats = (points[:, 0] - calibration.centre) / calibration.focal
        return plain
    coefficients = np.array(calibration.distortion)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS, _TOLERANCE)
    if calibration.distortion_model == "equidistant":
        found = cv2.fisheye.undistortPoints(points, calibration.matrix, coefficients, criteria=criteria)
        found = np.where(np.abs(found) > 1e4, np.nan, found)  # what OpenCV returns for rays from behind the camera
    else:
        # OpenCV 4 has a function of its own for criteria; its plain one stops after five steps
        undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
        found = undistort(points, calibration.matrix, coefficients, R=np.eye(3), P=np.eye(3), criteria=criteria)
    rays: Floats = np.asarray(found, np.float64).reshape(-1, 2)
    return rays


def undistorted(calibration: Calibration, points: Floats) -> Floats:
    """Returns (N, 2) points x, y in pixels as a camera with the same matrix and no distortion would see them."""
    rays = rays_of(calibration, points)
    result: Floats = rays * calibration.focal + calibration.centre
    return result
