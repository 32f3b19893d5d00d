"""Tracks that are easy to reason about, and stores made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines import Instances, RleMasks
from roadmask.streaming.store import CameraWriter, MaskStore, StoreConfig
from roadmask.tracking import LostTracks, Tracks, TrackState

CLASS_NAMES = {1: "pedestrian", 3: "car"}
FRAME_NS = 100_000_000
SMALL = StoreConfig(shard_mb=0.001)
"""Shards of 8 frames, the fewest."""

Box = tuple[int, int, int, int]


def no_lost() -> LostTracks:
    ids = np.zeros(0, np.int64)
    return LostTracks(ids, ids, np.zeros((0, 4), np.float32), ids)


def tracks_of(
    image_size: tuple[int, int],
    boxes: Sequence[Box],
    track_ids: Sequence[int],
    *,
    category_ids: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    masks: RleMasks | None = None,
) -> Tracks:
    """Tracks whose masks fill their boxes, unless masks are given."""
    count = len(boxes)
    if masks is None:
        dense = np.zeros((count, *image_size), np.uint8)
        for image, (x1, y1, x2, y2) in zip(dense, boxes, strict=True):
            image[y1:y2, x1:x2] = 1
        masks = RleMasks.from_dense(dense, image_size)
    instances = Instances(
        image_size,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores if scores is not None else [0.9] * count, np.float32),
        np.array(category_ids if category_ids is not None else [3] * count, np.int64),
        masks,
    )
    return Tracks(
        instances,
        np.array(track_ids, np.int64),
        np.full(count, TrackState.CONFIRMED, np.uint8),
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.float32),
        no_lost(),
    )


def street(frames: int, image_size: tuple[int, int] = (24, 40)) -> list[Tracks]:
    """A car (1) drives right, a pedestrian (2) is in its way from frame 3 to 9; every fifth frame is empty."""
    height, width = image_size
    drive = []
    for t in range(frames):
        if t % 5 == 4:
            drive.append(tracks_of(image_size, [], []))
            continue
        x = t % (width - 12)
        boxes, ids, category_ids, scores = [(x, 6, x + 12, 16)], [1], [3], [0.8]
        if 3 <= t < 10:
            boxes, ids, category_ids, scores = [*boxes, (10, 4, 14, height)], [1, 2], [3, 1], [0.8, 0.9]
        drive.append(tracks_of(image_size, boxes, ids, category_ids=category_ids, scores=scores))
    return drive


def create(path: Path, **changes: Any) -> MaskStore:
    """A new store; its cameras are written by `CameraWriter`."""
    values: dict[str, Any] = {
        "class_names": CLASS_NAMES,
        "engine": {"engine": "scripted"},
        "sources": {"front": {"kind": "scripted"}},
        "config": {},
    }
    return MaskStore.create(path, **(values | changes))


def record(
    path: Path,
    drive: Sequence[Tracks],
    *,
    commit_every: int | None = None,
    store_config: StoreConfig = SMALL,
    propagated: bool = False,
    **changes: Any,
) -> Path:
    """Writes a drive of one camera, `front`, in one epoch, which may hold propagated instances."""
    with create(path, **changes) as store, CameraWriter(store.path, "front", store_config) as writer:
        if drive:
            writer.start_epoch(0, drive[0].instances.image_size, "media", {"fps": 10}, propagated=propagated)
        for index, tracks in enumerate(drive):
            writer.append(index, index * FRAME_NS, tracks)
            if commit_every and index % commit_every == 0:
                writer.commit()
        writer.close(captured=len(drive))
    return path
