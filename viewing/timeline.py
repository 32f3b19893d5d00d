"""The cameras of a drive on one axis of time, and their tracks on it, as the page reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    Cameras whose clocks count from 1970, or whose recordings state when they began, keep their distance if they were
    running at the same time. Otherwise all of them begin together.
    """
    seconds = {name: frame_seconds(camera) for name, camera in cameras.items() if len(camera)}
    known = {name: start for name in seconds if (start := _start_ms(cameras[name])) is not None}
    first = min(known.values(), default=0.0)
    shifts = dict.fromkeys(seconds, 0.0)
    if known and len(known) == len(seconds):
        ends = [known[name] + 1000 * float(times[-1]) for name, (times, _) in seconds.items()]
        if max(known.values()) <= min(ends):
            shifts = {name: start - first for name, start in known.items()}
    return {
        name: CameraTimes(
            np.rint(1000 * times + shifts[name]).astype(np.int64),
            round(known[name] - shifts[name]) if name in known else None,
            max(round(1000 * step), 1),
        )
        for name, (times, step) in seconds.items()
    }


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


def _start_ms(camera: CameraReader) -> float | None:
    """Returns when the first frame of a camera was captured, milliseconds since 1970; None if nothing says so."""
    first = next(epoch for epoch in camera.epochs if len(epoch))
    stamp_ms = int(first.timestamp_ns[0]) / 1e6
    if first.info.clock == "unix":
        return stamp_ms
    if first.info.clock == "media" and camera.recording_start is not None:
        return (camera.recording_start - _EPOCH).total_seconds() * 1000 + stamp_ms
    return None
