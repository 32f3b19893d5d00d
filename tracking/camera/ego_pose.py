"""Image motion by a rotation of the camera that the vehicle measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.tracking.iou.motion import Floats


def warp_of_rotation(rotation: NDArray[np.floating], intrinsics: NDArray[np.floating]) -> Floats:
    """Returns the image motion by a rotation of the camera: the homography K R K^-1 (Hartley and Zisserman 2004, 8.4).

    It is exact at any distance if the camera only rotates. Translation between two frames moves near things more than
    far ones, and is left to the velocities of the tracks.

    Example: a camera with a focal length of 700 pixels that yawed to the right by one degree since the previous frame::

        intrinsics = np.array([[700, 0, 480], [0, 700, 270], [0, 0, 1]])
        yaw = np.deg2rad(1)
        # A point fixed in the world moves to the left in the turned camera (x right, y down, z ahead).
        rotation = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        tracks = tracker.update(instances, timestamp_ns, camera=warp_of_rotation(rotation, intrinsics))

    Args:
        rotation: (3, 3) rotation from the camera's axes at the previous frame to its axes at this one: R_now
            R_before^T of poses that map the world's axes to the camera's.
        intrinsics: (3, 3) matrix of the camera, in pixels of the images of the instances.

    Returns:
        (3, 3) homography from pixels of the previous frame to pixels of this one.

    Raises:
        InputError: `rotation` is not a rotation matrix, or `intrinsics` is not invertible.
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
