"""One sequence of detections in, the same rows with the ids of tracks out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.filled_rows import filled_rows
from roadmask.streaming.formats.kitti import KittiFrame, read_kitti_box, read_kitti_mots, write_kitti
from roadmask.streaming.formats.names import KittiFormat
from roadmask.tracking import Coasting, IouTracker, IouTrackerConfig, OfflineConfig, Tracks, coasted, refine

NS = 1_000_000_000


@dataclass(frozen=True)
class TrackedSequence:
    """What became of a sequence."""

    frames: int
    read: int
    """Rows of cars and pedestrians."""
    written: int
    """Rows that belong to a track."""
    tracks: int
    filled: int = 0
    """Rows that nobody detected: filled in by the offline pass, or coasting."""


def read_kitti(path: Path, kind: KittiFormat) -> list[KittiFrame]:
    """Reads a sequence, see `read_kitti_box` and `read_kitti_mots`."""
    return read_kitti_box(path) if kind == "kitti-box" else read_kitti_mots(path)


def track_frames(
    frames: list[KittiFrame], config: IouTrackerConfig | None = None, *, fps: float = 10.0
) -> list[Tracks]:
    """Tracks the frames of a sequence in the order of their time; each answer knows the past only."""
    tracker = IouTracker(config)
    return [tracker.update(frame.instances, round(n * NS / fps)) for n, frame in enumerate(frames)]


def track_sequence(
    source: Path,
    target: Path,
    kind: KittiFormat,
    config: IouTrackerConfig,
    *,
    fps: float = 10.0,
    every: int = 1,
    offline: OfflineConfig | None = None,
    coast_s: float = 0.35,
    shuffle: int | None = None,
) -> TrackedSequence:
    """Tracks a file of detections and writes the tracks.

    Args:
        source: file of detections; its ids are ignored.
        target: file to write, in the same format.
        kind: format of both.
        config: of the tracker.
        fps: frames per second of the sequence.
        every: looks at every n-th frame only, as a camera of a lower rate would.
        offline: looks at the whole sequence again, if given; then nothing coasts.
        coast_s: see `Coasting`.
        shuffle: seed to shuffle the rows of each frame by; None leaves them in their order.

    Raises:
        InputError: a file cannot be read or written.
    """
    frames = read_kitti(source, kind)[::every]
    if shuffle is not None:
        order = np.random.default_rng(shuffle)
        frames = [_reordered(frame, order.permutation(len(frame.rows))) for frame in frames]
    tracked = track_frames(frames, config, fps=fps / every)
    times_ns = [round(n * NS * every / fps) for n in range(len(frames))]
    if offline is not None:
        refined = refine(tracked, times_ns, offline)
        ids, unseen = refined.track_ids, refined.filled
    else:
        ids, unseen = [tracks.track_ids for tracks in tracked], coasted(tracked, times_ns, Coasting(coast_s))
    filled = filled_rows(frames, unseen, kind, every=every)
    rows = [(*frame.rows, *(row for row, _ in added)) for frame, added in zip(frames, filled, strict=True)]
    added_ids = [np.array([track for _, track in added], np.int64) for added in filled]
    together = [np.concatenate(both) for both in zip(ids, added_ids, strict=True)]
    try:
        write_kitti(target, zip(rows, together, strict=True))
    except OSError as error:
        raise InputError(
            f"cannot write the tracks to {target}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error
    given = [track for each in ids for track in each.tolist() if track]
    return TrackedSequence(
        len(frames), sum(len(frame.rows) for frame in frames), len(given), len(set(given)), sum(map(len, filled))
    )


def _reordered(frame: KittiFrame, order: NDArray[np.int64]) -> KittiFrame:
    return KittiFrame(frame.instances[order], tuple(frame.rows[n] for n in order))
