"""Trackers over made-up frames, and whether two of them say the same."""

from __future__ import annotations

import numpy as np

from roadmask.engines.instances import Instances
from roadmask.tracking import IouTracker, Tracks
from support.scenes import CAR, MS, PEDESTRIAN, SIZE, frame, square


def follow(tracker: IouTracker, frames: list[Instances], period_ms: int = 40, start_ms: int = 0) -> list[Tracks]:
    return [tracker.update(seen, (start_ms + n * period_ms) * MS) for n, seen in enumerate(frames)]


def same(a: Tracks, b: Tracks) -> bool:
    fields = ("track_ids", "states", "ages_ns", "velocities", "tentative_unseen")
    lost = ("track_ids", "category_ids", "boxes", "lost_ns")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields) and all(
        np.array_equal(getattr(a.lost, name), getattr(b.lost, name)) for name in lost
    )


def crowd(rng: np.random.Generator, count: int, frames: int) -> list[Instances]:
    """Boxes that walk at random, some of the same place, some missed, with few distinct scores."""
    at = rng.uniform(0, [SIZE[1], SIZE[0]], (count, 2))
    speed = rng.normal(0, 4, (count, 2))
    made = []
    for n in range(frames):
        boxes = [square(*(at[k] + speed[k] * n), side=20 + k % 3 * 10) for k in range(count) if rng.random() < 0.9]
        labels = [(CAR, PEDESTRIAN)[k % 2] for k in range(len(boxes))]
        made.append(frame(*boxes, category_ids=labels, scores=np.round(rng.uniform(0.3, 1, len(boxes)), 1).tolist()))
    return made
