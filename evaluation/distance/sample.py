"""The distances of the objects of the sample drive, known exactly, as KITTI's labels state them."""

from __future__ import annotations

import numpy as np

from roadmask.evaluation.distance.truth import TrueObjects, corners_seen
from roadmask.geometry import Calibration
from roadmask.sample_drive import SampleDrive
from roadmask.sample_drive.car_bodies import BODIES
from roadmask.sample_drive.drive import TruthFrame
from roadmask.sample_drive.scene import Car

_PERSON_LENGTH, _PERSON_WIDTH = 0.7, 0.6
"""Size in metres of a pedestrian on the ground, about that of KITTI's labels."""
_VISIBLE = 0.95
"""Visible fraction from which an object counts as visible."""
_HORIZON = 0.42
"""Row of the horizon of a camera that does not nod, relative to the height of the image."""


def sample_calibration(drive: SampleDrive) -> Calibration:
    """Returns the calibration of a view of the drive, which knows nothing of its nodding."""
    camera = drive.camera(0)
    height, width = drive.image_size
    return Calibration(
        (camera.focal, camera.focal),
        (width / 2 - 0.5, _HORIZON * height - 0.5),
        image_size=drive.image_size,
        height=camera.y,
        pitch=0.0,
        sources=("the sample drive",),
    )


def sample_truth(drive: SampleDrive, index: int, truth: TruthFrame | None = None) -> TrueObjects:
    """Returns the distances of the objects in frame `index`, in the order of the frame's ground truth."""
    truth = truth or drive.truth(index)
    camera, seconds = drive.camera(index), index / drive.fps
    places = []
    for number in truth.object_ids.tolist():
        actor = drive.actors[number - 1]
        if isinstance(actor, Car):
            body = BODIES[actor.look.body].sections
            x, z, heading = actor.place(seconds)
            length, width = body[-1][0] - body[0][0], 2 * max(section[4] for section in body)
        else:
            pose = actor.pose(seconds)
            x, z, heading, length, width = pose.x, pose.z, pose.heading, _PERSON_LENGTH, _PERSON_WIDTH
        dx, dz = x - camera.x, z - camera.z
        cos, sin = np.cos(camera.yaw), np.sin(camera.yaw)
        places.append((dx * cos - dz * sin, dx * sin + dz * cos, heading - camera.yaw, length, width))
    # headings turn from z to x, KITTI's angle from x to -z
    across, away, turn, long, wide = np.array(places, np.float64).reshape(-1, 5).T
    metres, lateral = corners_seen(across, away, turn - np.pi / 2, long, wide)
    return TrueObjects(
        truth.instances.category_ids,
        truth.instances.boxes.astype(np.float64),
        metres,
        lateral,
        truth.visible_fraction >= _VISIBLE,
        truth.object_ids,
    )
