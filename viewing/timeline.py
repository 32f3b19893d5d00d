"""The cameras of a drive on one axis of time, and their tracks on it, as the page reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.recording.jobs import APART_MAX
from roadmask.streaming.sinks.drawing import track_colour
from roadmask.streaming.store import CameraReader
from roadmask.streaming.store.summary import CameraSummary, frame_seconds, summarize_camera

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class CameraTimes:
    """When the frames of a camera were captured."""

    at_ms: NDArray[np.int64]
    """(T,) milliseconds since the drive began, rising."""
    wall_ms: int | None
    """Milliseconds since 1970 at the beginning of the drive; None where the camera's clock does not tell."""
    step_ms: int
    """Usual distance between two frames in milliseconds."""


def place_cameras(cameras: Mapping[str, CameraReader]) -> dict[str, CameraTimes]:
    """Places cameras on one axis of time, which begins with the first of them.

    Cameras on one clock keep their distance: that of the drive, or wall clocks. If their clocks differ, or if they
    begin more than an hour apart, all of them begin together.
    """
    seconds = {name: frame_seconds(camera) for name, camera in cameras.items() if len(camera)}
    firsts = {name: next(epoch for epoch in cameras[name].epochs if len(epoch)) for name in seconds}
    starts_ms = {name: int(epoch.timestamp_ns[0]) / 1e6 for name, epoch in firsts.items()}
    first_ms = min(starts_ms.values(), default=0.0)
    clocks = {epoch.info.clock for epoch in firsts.values()}
    comparable = len(clocks) == 1 and max(starts_ms.values()) - first_ms <= APART_MAX.total_seconds() * 1000
    placed = {}
    for name, (times, step) in seconds.items():
        shift_ms = starts_ms[name] - first_ms if comparable else 0.0
        wall = cameras[name].wall_clock(int(firsts[name].timestamp_ns[0]), firsts[name].info.epoch)
        placed[name] = CameraTimes(
            np.rint(1000 * times + shift_ms).astype(np.int64),
            None if wall is None else round((wall - _EPOCH).total_seconds() * 1000 - shift_ms),
            max(round(1000 * step), 1),
        )
    return placed


def camera_fields(
    camera: CameraReader, times: CameraTimes, first_key: int, summary: CameraSummary | None = None
) -> dict[str, Any]:
    """Returns what the page needs to know of a camera: its frames, its tracks and its ledger, as JSON data.

    Args:
        camera: the camera.
        times: its place on the axis of time.
        first_key: key of its first frame; the others follow.
        summary: its summary; made here if None.
    """
    summary = summary or summarize_camera(camera)
    frame_index = np.concatenate([epoch.frame_index for epoch in camera.epochs])
    is_plain = bool((frame_index == np.arange(len(frame_index))).all())
    begin = int(times.at_ms[0])
    return {
        "first_key": first_key,
        "at": times.at_ms.tolist(),
        "step": times.step_ms,
        "wall": times.wall_ms,
        "frame_index": None if is_plain else frame_index.tolist(),
        "epochs": [
            {"epoch": epoch.epoch, "size": list(epoch.image_size), "frames": epoch.frames} for epoch in summary.epochs
        ],
        "complete": summary.complete,
        "ledger": summary.ledger.to_dict(),
        "tracks": [
            {
                "id": life.track_id,
                "label": life.class_name,
                "colour": "#{:02x}{:02x}{:02x}".format(*track_colour(life.track_id)),
                "seconds": round(life.seconds, 2),
                "frames": life.frames,
                "spans": [[begin + round(1000 * first), begin + round(1000 * last)] for first, last in life.spans_s],
            }
            for life in summary.tracks
        ],
    }


def chosen_tracks(
    tracks: Sequence[Mapping[str, Any]], labels: frozenset[str] | None, seconds_min: float
) -> NDArray[np.int64]:
    """Returns the sorted ids of the tracks that pass a filter.

    Args:
        tracks: tracks of `camera_fields`.
        labels: names of the classes to keep; None for all.
        seconds_min: least duration in seconds.
    """
    kept = [
        track["id"]
        for track in tracks
        if (labels is None or track["label"] in labels) and track["seconds"] >= seconds_min
    ]
    return np.array(sorted(kept), np.int64)
