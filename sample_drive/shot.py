"""A frame with what is needed to change its weather: the distance and the object of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.sample_drive.camera import NEAR_METRES, Camera, Floats, turn
from roadmask.sample_drive.drive import SampleDrive, TruthFrame
from roadmask.sample_drive.scene import Actor, Car


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame of a drive on a dry day."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB image."""
    truth: TruthFrame
    """Ground truth of the frame."""
    camera: Camera
    """Camera of the frame."""
    index: int
    """Index of the frame in the drive, from 0."""
    seconds: float
    """Time since the start of the drive in seconds."""
    actors: Sequence[Actor]
    """Actors in the street; their ids are their positions, from 1."""
    ids: NDArray[np.uint8]
    """(H, W) id of the object seen in each pixel, 0 for none."""
    depth: Floats
    """(H, W) metres from the image plane; infinite in the sky.

    Trees, lamp posts and bicycles are as far as what is behind.
    """
    ground: NDArray[np.bool_]
    """(H, W) whether a pixel shows the ground, or a tree, lamp post or bicycle before it."""

    def points(self) -> Floats:
        """Returns (H, W, 3) world coordinates in metres of the point that each pixel shows; far away in the sky."""
        camera = self.camera
        depth = np.minimum(self.depth, 1e4)
        cos, sin = turn(camera.yaw)
        height, width = depth.shape
        across = (np.arange(width) + 0.5 - camera.width / 2) / camera.focal * depth
        up = camera.y - (np.arange(height)[:, None] + 0.5 - camera.horizon) / camera.focal * depth
        return np.stack([camera.x + across * cos + depth * sin, up, camera.z + depth * cos - across * sin], axis=-1)


def take_shot(drive: SampleDrive, index: int) -> Shot:
    """Takes frame `index` of a drive.

    Raises:
        IndexError: there is no such frame.
    """
    image, truth = drive.frame(index)
    camera, seconds = drive.camera(index), index / drive.fps
    ids = np.zeros(drive.image_size, np.uint8)
    assert truth.instances.masks is not None  # noqa: S101 - the sample drive always has masks
    for object_id, mask in zip(truth.object_ids.tolist(), truth.instances.masks.to_rle().dense(), strict=True):
        ids[mask] = object_id
    depth = drive.distances(index)
    floor = camera.focal * camera.y / np.maximum(np.arange(camera.height) + 0.5 - camera.horizon, 1e-3)
    ground = (depth == floor[:, None]) & (ids == 0)
    for object_id in truth.object_ids.tolist():
        actor = drive.actors[object_id - 1]
        if isinstance(actor, Car):
            x, z, _ = actor.place(seconds)
        else:
            pose = actor.pose(seconds)
            x, z = pose.x, pose.z
        depth[ids == object_id] = max(camera.depth(x, z), NEAR_METRES)
    return Shot(image, truth, camera, index, seconds, drive.actors, ids, depth, ground)
