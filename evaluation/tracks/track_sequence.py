"""Tracks a file of detections and writes the same rows with the ids of tracks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.filled_rows import filled_rows
from roadmask.streaming.formats import KittiFormat
from roadmask.streaming.formats.kitti import KittiFrame, read_kitti_box, read_kitti_mots, write_kitti
from roadmask.tracking import Coasting, IouTracker, IouTrackerConfig, OfflineConfig, Tracks, coasted, refine

NS = 1_000_000_000


@dataclass(frozen=True)
class TrackedSequence:
    """The counts of a tracked sequence."""

    frames: int
    """Number of its frames."""
    read: int
    """Number of rows of cars and pedestrians that were read."""
    written: int
    """Number of these rows that belong to a track."""
    tracks: int
    """Number of tracks."""
    filled: int = 0
    """Number of further rows that were not detected: gaps filled by the offline pass, or coasting."""


def read_kitti(path: Path, kind: KittiFormat) -> list[KittiFrame]:
    """Reads a sequence in one of the formats, see `read_kitti_box` and `read_kitti_mots`."""
    return read_kitti_box(path) if kind == "kitti-box" else read_kitti_mots(path)


def track_frames(
    frames: list[KittiFrame], config: IouTrackerConfig | None = None, *, fps: float = 10.0
) -> list[Tracks]:
    """Tracks the frames of a sequence in the order of time; each result depends only on earlier frames."""
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
        kind: format of both files.
        config: configuration of the tracker.
        fps: frames per second of the sequence.
        every: uses only every n-th frame, like a camera with a lower rate.
        offline: configuration of the offline pass over the whole sequence, which replaces coasting; None for none.
        coast_s: maximum time in seconds for which a track coasts, see `Coasting`.
        shuffle: seed for shuffling the rows of each frame; None keeps their order.

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
