"""What is in a drive, as plain numbers: what `roadmask info` prints and draws."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.frames import Clock
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store.layout import METADATA, PROVENANCE
from roadmask.streaming.store.reader import CameraReader, open_drive

PARTS = ("id_map", "masks", "instances", "frames", "metadata", "other")
"""What the bytes of a store are spent on: `masks` are the run lengths, `other` is what this roadmask does not know."""


@dataclass(frozen=True)
class TrackLife:
    """When a track was seen."""

    track_id: int
    category_id: int
    """COCO category id it was seen as most often."""
    class_name: str
    frames: int
    """Frames it was seen in."""
    spans_s: tuple[tuple[float, float], ...]
    """Start and end of each stretch without a gap, in seconds since the camera's first frame."""

    @property
    def seconds(self) -> float:
        """From its first to its last frame, gaps included."""
        return self.spans_s[-1][1] - self.spans_s[0][0]


@dataclass(frozen=True)
class ClassSummary:
    """The tracks of one class."""

    category_id: int
    """COCO category id."""
    class_name: str
    tracks: int
    instances: int
    """Instances with this category_id, those without a track included."""
    median_s: float
    """Half of its tracks lived at least this long; 0 without tracks."""
    longest_s: float
    """The longest life; 0 without tracks."""


@dataclass(frozen=True)
class EpochSummary:
    """One stretch of a camera."""

    epoch: int
    image_size: tuple[int, int]
    """Height and width in pixels."""
    clock: Clock
    frames: int
    instances: int
    seconds: float
    """From its first frame to the end of its last."""


@dataclass(frozen=True)
class CameraSummary:
    """One camera."""

    name: str
    epochs: tuple[EpochSummary, ...]
    frames: int
    instances: int
    seconds: float
    """Sum over its epochs."""
    ledger: Ledger
    complete: bool
    """Whether it was closed."""
    classes: tuple[ClassSummary, ...]
    """By category id."""
    tracks: tuple[TrackLife, ...]
    """By first appearance."""


@dataclass(frozen=True)
class DriveSummary:
    """A whole drive."""

    path: Path
    cameras: tuple[CameraSummary, ...]
    storage: dict[str, int]
    """Bytes on disk by part, see `PARTS`."""
    raw_id_map_bytes: int
    """What the labels would take uncompressed."""

    @property
    def frames(self) -> int:
        """Stored frames of all cameras."""
        return sum(camera.frames for camera in self.cameras)

    @property
    def seconds(self) -> float:
        """Length of the longest camera."""
        return max((camera.seconds for camera in self.cameras), default=0.0)

    @property
    def stored_bytes(self) -> int:
        """All bytes on disk."""
        return sum(self.storage.values())


def summarize_drive(path: Path | str) -> DriveSummary:
    """Reads everything but labels and masks.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    drive = open_drive(path)
    cameras = tuple(_camera(camera) for camera in drive.values())
    raw = sum(
        4 * epoch.image_size[0] * epoch.image_size[1] * epoch.frames for camera in cameras for epoch in camera.epochs
    )
    return DriveSummary(drive.path, cameras, _storage(drive.path), raw)


def frame_seconds(camera: CameraReader) -> tuple[NDArray[np.float64], float]:
    """Returns when each stored frame was taken, and how long a frame usually lasts.

    Epochs of one clock keep their distance; where the clock changes or goes back, an epoch follows right behind the
    one before.

    Returns:
        (T,) seconds since the camera's first frame, rising; and the median distance of two frames in seconds.
    """
    stamps = [epoch.timestamp_ns for epoch in camera.epochs]
    steps = np.concatenate([np.zeros(0), *(np.diff(each) for each in stamps)]) / 1e9
    step = float(np.median(steps)) if len(steps) else 0.0
    parts: list[NDArray[np.float64]] = [np.zeros(0)]
    end, previous = 0.0, None
    for epoch, each in zip(camera.epochs, stamps, strict=True):
        if not len(each):
            continue
        start = end
        if previous is not None and previous[0] == epoch.info.clock and each[0] > previous[1]:
            start = end - step + (int(each[0]) - previous[1]) / 1e9
        parts.append(start + (each - each[0]) / 1e9)
        end = float(parts[-1][-1]) + step
        previous = (epoch.info.clock, int(each[-1]))
    return np.concatenate(parts), step


def _camera(camera: CameraReader) -> CameraSummary:
    seconds, step = frame_seconds(camera)
    lives = _lives(camera, seconds, step)
    seen = Counter(category_id for epoch in camera.epochs for category_id in epoch.category_id.tolist())
    epochs = tuple(
        EpochSummary(
            epoch.info.epoch,
            epoch.info.image_size,
            epoch.info.clock,
            len(epoch),
            epoch.extent.instances,
            float(epoch.timestamp_ns[-1] - epoch.timestamp_ns[0]) / 1e9 + step if len(epoch) else 0.0,
        )
        for epoch in camera.epochs
    )
    classes = []
    for category_id in sorted(seen):
        spans = [life.seconds for life in lives if life.category_id == category_id]
        classes.append(
            ClassSummary(
                category_id,
                camera.class_name(category_id),
                len(spans),
                seen[category_id],
                median(spans) if spans else 0.0,
                max(spans, default=0.0),
            )
        )
    return CameraSummary(
        camera.name,
        epochs,
        len(camera),
        sum(seen.values()),
        sum(epoch.seconds for epoch in epochs),
        camera.ledger,
        camera.complete,
        tuple(classes),
        lives,
    )


def _lives(camera: CameraReader, seconds: NDArray[np.float64], step: float) -> tuple[TrackLife, ...]:
    positions = camera.track_positions()
    lives = []
    for track in camera.tracks():
        seen = positions[track.track_id]
        starts = np.flatnonzero(np.diff(seen, prepend=seen[0] - 2) > 1)
        ends = np.append(starts[1:] - 1, len(seen) - 1)
        spans = tuple(
            (float(seconds[seen[start]]), float(seconds[seen[end]]) + step)
            for start, end in zip(starts, ends, strict=True)
        )
        lives.append(TrackLife(track.track_id, track.category_id, track.class_name, len(seen), spans))
    return tuple(sorted(lives, key=lambda life: (life.spans_s[0], life.track_id)))


def _storage(path: Path) -> dict[str, int]:
    sizes = dict.fromkeys(PARTS, 0)
    for file in path.rglob("*"):
        if not file.is_file():
            continue
        # <camera>/<epoch>/<part>/...
        parts = file.relative_to(path).parts
        if file.name in (METADATA, PROVENANCE) or len(parts) < 4:
            part = "metadata"
        elif parts[2] == "instances" and parts[3] in ("rle", "rle_offsets"):
            part = "masks"
        else:
            part = parts[2] if parts[2] in PARTS else "other"
        sizes[part] += file.stat().st_size
    return {part: size for part, size in sizes.items() if size or part != "other"}
