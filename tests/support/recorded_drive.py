"""A drive of two cameras: a car that drives through it and a pedestrian who crosses for a second."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from roadmask.engines import Instances, RleMasks
from roadmask.engines.scripted import ScriptedSegmenter
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sinks.video_writer import VideoWriter

SIZE = (120, 200)
FRAMES = 40
FRAME_MS = 100
CAR, PEDESTRIAN = 3, 1
CROSSING = range(10, 20)
"""Frames in which the pedestrian is seen."""


def scene(index: int) -> np.ndarray:
    """A grey street with a red car, and with a blue pedestrian while somebody crosses."""
    image = np.full((*SIZE, 3), 60, np.uint8)
    image[60:90, 20 + 2 * index : 70 + 2 * index] = (250, 60, 60)
    if index in CROSSING:
        image[30:100, 150:170] = (60, 60, 250)
    return image


def find(image: np.ndarray, _index: int) -> Instances:
    masks, boxes, category_ids = [], [], []
    for channel, category_id in ((0, CAR), (2, PEDESTRIAN)):
        inside = (image[..., channel] > 180) & (image[..., 1] < 130)
        if inside.sum() > 50:
            rows, columns = np.nonzero(inside)
            masks.append(inside)
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            category_ids.append(category_id)
    dense = np.array(masks, np.uint8).reshape(-1, *SIZE)
    return Instances(
        SIZE,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.array(category_ids, np.int64),
        RleMasks.from_dense(dense, SIZE),
    )


def write_video(path: Path, frames: int = FRAMES) -> Path:
    with VideoWriter(path) as video:
        for index in range(frames):
            video.write(scene(index), index * FRAME_MS * 1_000_000)
    return path


def record(folder: Path) -> Path:
    """Records the drive in a folder, beside what it is recorded from: front.mp4 and the images in rear/."""
    (folder / "rear").mkdir()
    for index in range(0, FRAMES, 2):
        cv2.imwrite(str(folder / "rear" / f"{index:02d}.png"), scene(index)[..., ::-1])
    sources = {"front": write_video(folder / "front.mp4"), "rear": f"{folder / 'rear'}?fps=5"}
    record_drive(sources, folder / "drive.zarr", RunConfig(), build=lambda: ScriptedSegmenter(find))
    return folder / "drive.zarr"
