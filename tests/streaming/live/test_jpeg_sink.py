"""Images as the page shows them."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.evaluation.speed.scripted import find_corner
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.live.jpeg_sink import JpegSink
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.recording.recorder import build_tracker
from roadmask.streaming.sinks.sink import CameraDescription, TrackedFrame


def test_images_are_no_wider_than_asked_for_and_boxes_fit_them() -> None:
    shown: list[LiveImage] = []
    sink = JpegSink(shown.append, width_max=320)
    sink.open("front", CameraDescription({3: "car"}))
    track = TrackStage(build_tracker(RunConfig()))
    for index in range(5):
        image = np.full((360, 640, 3), index, np.uint8)
        frame = Frame("front", 0, index, index * 10**8, "unix", image, monotonic_ns=index)
        sink.write(TrackedFrame(frame, track(frame, find_corner(image))))
    last = shown[-1]
    assert (len(shown), last.size, last.captured_ns, last.monotonic_ns) == (5, (180, 320), 4 * 10**8, 4)
    (car,) = last.instances
    assert car.box == pytest.approx((32, 108, 128, 162), abs=1)
    assert (car.label, car.track_id) == ("car", 1)
