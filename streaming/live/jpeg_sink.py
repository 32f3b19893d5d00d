"""Images as they are shown: masks drawn in, no wider than a screen needs, as JPEG."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from roadmask.streaming.frames import Frame
from roadmask.streaming.live.reports import LiveImage, ShownInstance
from roadmask.streaming.sinks.drawing import TrailPoints, draw_overlay
from roadmask.streaming.sinks.overlay import Trails, heading_of
from roadmask.streaming.sinks.sink import BaseSink, CameraDescription, TrackedFrame
from roadmask.tracking import Tracks, TrackState

WIDTH_MAX = 960
"""Width in pixels above which images are scaled down."""
_QUALITY = 80


class JpegSink(BaseSink):
    """Draws the frames of one camera as the page shows them.

    Args:
        publish: takes each image.
        width_max: width in pixels above which images are scaled down.
    """

    needs_image = True

    def __init__(self, publish: Callable[[LiveImage], None], width_max: int = WIDTH_MAX) -> None:
        self._publish = publish
        self._width_max = width_max
        self._class_names: Mapping[int, str] = {}
        self._trails = Trails()
        self._epoch: int | None = None

    def open(self, camera: str, description: CameraDescription) -> None:  # noqa: ARG002 - each frame names it
        """Takes the names of the classes."""
        self._class_names = description.class_names

    def write(self, tracked: TrackedFrame) -> None:
        """Draws and publishes a frame."""
        frame, tracks = tracked.frame, tracked.tracks
        if frame.epoch != self._epoch:
            self._trails, self._epoch = Trails(), frame.epoch
        trails = self._trails.update(tracks, frame.timestamp_ns)
        self._publish(shown_image(frame, tracks, self._class_names, trails, self._width_max))


def shown_image(
    frame: Frame, tracks: Tracks, class_names: Mapping[int, str], trails: TrailPoints, width_max: int
) -> LiveImage:
    """Draws a frame as the page shows it.

    Args:
        frame: the frame.
        tracks: the tracks in it; the confirmed ones can be pointed at.
        class_names: category id -> name.
        trails: past positions of the tracks.
        width_max: width in pixels above which the image is scaled down.
    """
    drawn = draw_overlay(frame.image, tracks, class_names, heading=heading_of(frame), trails=trails)
    height, width = frame.image_size
    scale = min(1.0, width_max / width)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    if scale < 1:
        drawn = np.asarray(cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    _, jpeg = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return LiveImage(
        frame.camera,
        frame.epoch,
        frame.frame_index,
        frame.timestamp_ns,
        time.monotonic_ns() if frame.monotonic_ns is None else frame.monotonic_ns,
        jpeg.tobytes(),
        size,
        _instances(tracks, class_names, size[1] / width, size[0] / height),
    )


def _instances(
    tracks: Tracks, class_names: Mapping[int, str], scale_x: float, scale_y: float
) -> tuple[ShownInstance, ...]:
    seen = tracks[(tracks.states == TrackState.CONFIRMED) & (tracks.track_ids > 0)]
    boxes = seen.instances.boxes * np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
    return tuple(
        ShownInstance(track_id, class_names.get(category, f"class {category}"), round(score, 3), tuple(box))
        for track_id, category, score, box in zip(
            seen.track_ids.tolist(),
            seen.instances.category_ids.tolist(),
            seen.instances.scores.tolist(),
            boxes.round(1).tolist(),
            strict=True,
        )
    )
