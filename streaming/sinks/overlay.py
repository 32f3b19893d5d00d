"""The overlay video as a sink: the tracks of a camera drawn into its images."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from roadmask.streaming.frames import Clock, Frame
from roadmask.streaming.sinks.drawing import draw_overlay
from roadmask.streaming.sinks.sink import BaseSink, CameraDescription, TrackedFrame
from roadmask.streaming.sinks.video_writer import VideoWriter
from roadmask.tracking import Tracks, TrackState

_PAUSE_NS = 1_000_000_000
"""Duration of the last image of an epoch in nanoseconds: the gap between two epochs may be hours."""
_TRAIL_NS = 1_000_000_000
"""Length of trails in nanoseconds."""


class OverlayVideo(BaseSink):
    """Draws the tracks of a camera into a video, each frame at its own time within an epoch.

    See `VideoWriter` for what remains of a run that is killed.

    Args:
        path: the video; its name ends in .mp4.
        trails: whether to draw where each track came from.
        created: wall-clock time of the first image, for the metadata of the video; none is written if None.

    Raises:
        InputError: see `require_writable`.
    """

    needs_image = True

    def __init__(self, path: Path, *, trails: bool = True, created: datetime | None = None) -> None:
        self._video = VideoWriter(path, created=created)
        self._class_names: dict[int, str] = {}
        self._trails: Trails | None = Trails() if trails else None
        self._epoch: int | None = None
        self._shift_ns = 0
        self._shown_ns = 0

    def open(self, camera: str, description: CameraDescription) -> None:  # noqa: ARG002 - frames name their camera
        """Takes the names of the classes; the video begins with the first frame."""
        self._class_names = dict(description.class_names)

    def write(self, tracked: TrackedFrame) -> None:
        """Draws the next frame.

        Raises:
            InputError: the frame is not later than the previous one of its epoch.
            StoreError: the disk is full or gone.
        """
        frame, tracks = tracked.frame, tracked.tracks
        if frame.epoch != self._epoch:
            if self._epoch is not None:
                self._shift_ns = self._shown_ns + _PAUSE_NS - frame.timestamp_ns
            self._epoch = frame.epoch
            if self._trails is not None:
                self._trails = Trails()
        trails = None if self._trails is None else self._trails.update(tracks, frame.timestamp_ns)
        image = draw_overlay(frame.image, tracks, self._class_names, heading=heading_of(frame), trails=trails)
        self._shown_ns = frame.timestamp_ns + self._shift_ns
        self._video.write(image, self._shown_ns)

    def close(self, captured: int | None) -> None:  # noqa: ARG002 - a video has only the frames that it shows
        """Finishes the video; without a single frame there is none.

        Raises:
            StoreError: the disk is full or gone.
        """
        self._video.close()

    def abort(self) -> None:
        """Removes the unfinished video; a video that was there before stays."""
        self._video.discard()


class Trails:
    """Recent positions of the confirmed tracks of one camera."""

    def __init__(self) -> None:
        self._points: dict[int, deque[tuple[int, tuple[float, float]]]] = {}

    def update(self, tracks: Tracks, timestamp_ns: int) -> dict[int, list[tuple[float, float]]]:
        """Adds the tracks of a frame; returns the bottom centres of its boxes in the last second, by track."""
        confirmed = tracks[tracks.states == TrackState.CONFIRMED]
        boxes = confirmed.instances.boxes
        for track_id, box in zip(confirmed.track_ids.tolist(), boxes.tolist(), strict=True):
            foot = ((box[0] + box[2]) / 2, box[3])
            self._points.setdefault(track_id, deque()).append((timestamp_ns, foot))
        for track_id, points in list(self._points.items()):
            while points and points[0][0] < timestamp_ns - _TRAIL_NS:
                points.popleft()
            if not points:
                del self._points[track_id]
        return {track_id: [foot for _, foot in points] for track_id, points in self._points.items()}


def heading_of(frame: Frame) -> str:
    """Returns the camera's name and the time of a frame as text."""
    return f"{frame.camera}    {format_time(frame.timestamp_ns, frame.clock)}"


def format_time(timestamp_ns: int, clock: Clock) -> str:
    """Returns the time as 1:02:03.45 for a media or monotonic clock, and as date and time in UTC for unix time."""
    if clock == "unix":
        return f"{datetime.fromtimestamp(timestamp_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    hundredths = timestamp_ns // 10_000_000
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{hundredths // 100:02d}.{hundredths % 100:02d}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
