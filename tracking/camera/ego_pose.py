"""What a camera sees of its own turn, where the vehicle knows it: a warp of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.tracking.iou.motion import Floats


def warp_of_rotation(rotation: NDArray[np.floating], intrinsics: NDArray[np.floating]) -> Floats:
    """Returns how a turn of the camera moves the image: the homography K R K^-1 (Hartley and Zisserman 2004, 8.4).

    Exact for things at any distance as long as the camera only turns. What it drives between two frames moves near
    things more than far ones, and is left to the tracks' own velocities.

    Example: a camera of 700 pixels focal length that yawed to the right by one degree since the frame before::

        intrinsics = np.array([[700, 0, 480], [0, 700, 270], [0, 0, 1]])
        yaw = np.deg2rad(1)
        # A point fixed in the world moves to the left in the turned camera (x right, y down, z ahead).
        rotation = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        tracks = tracker.update(instances, timestamp_ns, camera=warp_of_rotation(rotation, intrinsics))

    Args:
        rotation: (3, 3) from the camera's axes at the frame before to its axes at this one, R_now R_before^T of its
            poses that map the world's axes to the camera's.
        intrinsics: (3, 3) of the camera, in pixels of the images that the instances were found in.

    Returns:
        (3, 3) homography from pixels of the frame before to pixels of this one.

    Raises:
        InputError: `rotation` is no rotation, or `intrinsics` cannot be inverted.
    """
    turn, camera = np.asarray(rotation, np.float64), np.asarray(intrinsics, np.float64)
    if (
        turn.shape != (3, 3)
        or not np.isfinite(turn).all()
        or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4)
        or np.linalg.det(turn) < 0
    ):
        raise InputError(f"expected rotation as a (3, 3) orthonormal matrix of determinant 1, got {rotation!r}.")
    if camera.shape != (3, 3) or not np.isfinite(camera).all() or abs(np.linalg.det(camera)) < 1e-9:
        raise InputError(
            f"expected intrinsics as (3, 3): [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, got {intrinsics!r}."
        )
    warp: Floats = camera @ turn @ np.linalg.inv(camera)
    warp /= warp[2, 2]
    return warp
