"""A stored camera -> proposed labels: tracks are joined with what comes later, and doubtful sightings are marked."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from roadmask.streaming.store import CameraReader, StoredFrame
from roadmask.tracking import Tracks
from roadmask.tracking.offline import OfflineConfig, refine
from roadmask.training.labels.doubts import Doubts, TrackHistory, find_doubts
from roadmask.training.labels.records import Label, LabelledImage

NO_FILLING = OfflineConfig(fill_gap_s=0)
"""Tracks are joined; boxes that nobody saw become no labels."""


@dataclass(frozen=True, eq=False)
class Proposed:
    """What a recording was annotated with."""

    images: tuple[LabelledImage, ...]
    """Images in the order of time."""
    labels: tuple[Label, ...]
    """Proposed labels, image by image."""
    doubts: dict[int, Doubts]
    """Object -> the doubts of all its sightings."""
    class_of: dict[int, str]
    """Object -> class name."""
    joined: int
    """Number of tracks that became a part of an earlier one."""


def propose(camera: CameraReader, drive: str, model: str, when: str, every: int = 1) -> Proposed:
    """Turns the tracks of a stored camera into labels.

    Instances without a track are left out: a model that sees something in one frame alone is rarely right.

    Args:
        camera: the stored camera.
        drive: name of the recording in the label set.
        model: `model:` and the SHA-256 of the weights.
        when: time of the labels, see `Label.when`.
        every: label each n-th frame; tracks and doubts come from all of them.

    Raises:
        StoreCorruptError: the store cannot be read.
    """
    frames: list[StoredFrame] = []
    objects: list[np.ndarray] = []
    joined = start = 0
    for epoch in camera.epochs:
        part = [camera.frame(position) for position in range(start, start + len(epoch))]
        tracks = [Tracks.from_ids(frame.instances, frame.track_ids) for frame in part]
        refined = refine(tracks, [frame.timestamp_ns for frame in part], NO_FILLING)
        frames += part
        objects += refined.track_ids
        joined += refined.joined
        start += len(epoch)
    sightings: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for position, ids in enumerate(objects):
        for row, number in enumerate(ids.tolist()):
            if number:
                sightings[number].append((position, row))
    histories = {number: _history(frames, seen) for number, seen in sorted(sightings.items())}
    doubts = find_doubts(histories)
    class_of = {number: camera.class_name(each.category_id) for number, each in histories.items()}
    at = {(place, number): n for number, seen in sightings.items() for n, (place, _) in enumerate(seen)}
    values = {number: each.values for number, each in doubts.items()}
    images, labels = [], []
    for position in range(0, len(frames), every):
        frame = frames[position]
        images.append(LabelledImage(drive, frame.frame_index, frame.instances.image_size, frame.timestamp_ns))
        assert frame.instances.masks is not None  # noqa: S101 - a store keeps masks
        masks = frame.instances.masks.to_rle()
        for row in np.argsort(objects[position], kind="stable").tolist():
            number = int(objects[position][row])
            if not number or not masks.area[row]:
                continue
            sighting = at[position, number]
            labels.append(
                Label(
                    drive,
                    frame.frame_index,
                    number,
                    class_of[number],
                    masks.counts[row],
                    model,
                    when,
                    score=round(float(frame.instances.scores[row]), 4),
                    doubt=round(float(values[number][sighting]), 3),
                    why=doubts[number].why(sighting),
                )
            )
    return Proposed(tuple(images), tuple(labels), doubts, class_of, joined)


def _history(frames: list[StoredFrame], seen: list[tuple[int, int]]) -> TrackHistory:
    rows = [(frames[position], row) for position, row in seen]
    categories = Counter(int(frame.instances.category_ids[row]) for frame, row in rows)
    return TrackHistory(
        frames=np.array([position for position, _ in seen], np.int64),
        timestamps_ns=np.array([frame.timestamp_ns for frame, _ in rows], np.int64),
        boxes=np.array([frame.instances.boxes[row] for frame, row in rows], np.float64).reshape(-1, 4),
        areas=np.array([frame.instances.masks.area[row] for frame, row in rows if frame.instances.masks], np.float64),
        scores=np.array([frame.instances.scores[row] for frame, row in rows], np.float64),
        category_id=categories.most_common(1)[0][0],
        image_size=rows[0][0].instances.image_size,
    )
