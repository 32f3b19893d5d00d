"""Summarises a drive in numbers, for `roadmask info` to print and draw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.frames import Clock
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.drive_reader import open_drive
from roadmask.streaming.store.layout import METADATA, PROVENANCE

PARTS = ("id_map", "masks", "instances", "frames", "metadata", "other")
"""What the bytes of a store are spent on: `masks` are the run lengths, `other` is what this roadmask does not know."""


@dataclass(frozen=True)
class TrackLife:
    """The time spans in which a track was detected."""

    track_id: int
    """Track id, unique within the camera."""
    category_id: int
    """Most frequent COCO category id of the track."""
    class_name: str
    """Name of that class."""
    frames: int
    """Number of frames in which the track was detected."""
    spans_s: tuple[tuple[float, float], ...]
    """Start and end of each span without a gap, in seconds since the first frame of the camera."""

    @property
    def seconds(self) -> float:
        """Duration from its first to its last frame in seconds, gaps included."""
        return self.spans_s[-1][1] - self.spans_s[0][0]


@dataclass(frozen=True)
class ClassSummary:
    """The tracks of one class."""

    category_id: int
    """COCO category id."""
    class_name: str
    """Name of the class."""
    tracks: int
    """Number of its tracks."""
    instances: int
    """Number of its instances, including those without a track."""
    median_s: float
    """Median duration of its tracks in seconds; 0 without tracks."""
    longest_s: float
    """Duration of its longest track in seconds; 0 without tracks."""


@dataclass(frozen=True)
class EpochSummary:
    """One epoch of a camera."""

    epoch: int
    """Number of the epoch."""
    image_size: tuple[int, int]
    """Height and width in pixels."""
    clock: Clock
    """Origin of its timestamps."""
    frames: int
    """Number of its frames."""
    instances: int
    """Number of its instances."""
    seconds: float
    """Duration from its first frame to the end of its last, in seconds."""
    began: datetime | None = None
    """Wall-clock time of its first frame in UTC; None where the recording does not state it."""


@dataclass(frozen=True)
class CameraSummary:
    """One camera."""

    name: str
    """Name of the camera."""
    epochs: tuple[EpochSummary, ...]
    """Its epochs in the order of time."""
    frames: int
    """Number of its stored frames."""
    instances: int
    """Number of its stored instances."""
    seconds: float
    """Sum of the durations of its epochs in seconds."""
    ledger: Ledger
    """Outcomes of its frames."""
    complete: bool
    """Whether the camera was closed."""
    classes: tuple[ClassSummary, ...]
    """Its classes, by category id."""
    tracks: tuple[TrackLife, ...]
    """Its tracks, by first appearance."""


@dataclass(frozen=True)
class DriveSummary:
    """A whole drive."""

    path: Path
    """Folder of the store."""
    cameras: tuple[CameraSummary, ...]
    """Its cameras in alphabetical order."""
    storage: dict[str, int]
    """Number of bytes on disk by part, see `PARTS`."""
    raw_id_map_bytes: int
    """Number of bytes of the id maps before compression."""

    @property
    def frames(self) -> int:
        """Number of stored frames of all cameras."""
        return sum(camera.frames for camera in self.cameras)

    @property
    def seconds(self) -> float:
        """Duration of the longest camera in seconds."""
        return max((camera.seconds for camera in self.cameras), default=0.0)

    @property
    def stored_bytes(self) -> int:
        """Number of bytes on disk."""
        return sum(self.storage.values())


def summarize_drive(path: Path | str) -> DriveSummary:
    """Summarises a drive, without reading id maps and masks.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    drive = open_drive(path)
    cameras = tuple(summarize_camera(camera) for camera in drive.values())
    raw = sum(
        4 * epoch.image_size[0] * epoch.image_size[1] * epoch.frames for camera in cameras for epoch in camera.epochs
    )
    return DriveSummary(drive.path, cameras, _storage(drive.path), raw)


def frame_seconds(camera: CameraReader) -> tuple[NDArray[np.float64], float]:
    """Returns the capture times of the stored frames, and the usual distance between two frames.

    Epochs on one clock keep their distance; where the clock changes or goes back, an epoch follows the previous one
    without a gap.

    Returns:
        (T,) rising seconds since the first frame of the camera; and the median distance of two frames in seconds.
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


def summarize_camera(camera: CameraReader) -> CameraSummary:
    """Summarises one camera, without reading id maps and masks.

    Raises:
        StoreError: its files cannot be read back.
    """
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
            camera.wall_clock(int(epoch.timestamp_ns[0]), epoch.info.epoch) if len(epoch) else None,
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
