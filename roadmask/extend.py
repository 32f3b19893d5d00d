"""Extension points: what an engine, a source, a sink or an export format of your own is made of.

Each name imports its module when it is first used. `roadmask.testing` has a contract test for each kind of part::

    import roadmask
    from roadmask.extend import BaseSink, TrackedFrame

    class Printing(BaseSink):
        def write(self, tracked: TrackedFrame) -> None:
            print(tracked.frame.timestamp_ns, tracked.tracks.track_ids)

    roadmask.record_drive({"front": "drive.mp4"}, "drive.zarr", sinks=lambda camera: [Printing()])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.engines.images import checked_image
    from roadmask.engines.segmenter import Segmenter, SegmenterInfo
    from roadmask.streaming.formats.export.job import ExportJob
    from roadmask.streaming.formats.export.output import export_drive
    from roadmask.streaming.frames import LostFrame
    from roadmask.streaming.recording.jobs import CameraJob
    from roadmask.streaming.sinks.sink import BaseSink, CameraDescription, TrackedFrame, TrackSink
    from roadmask.streaming.sources import BaseSource, FrameSource

__all__ = [
    "BaseSink",
    "BaseSource",
    "CameraDescription",
    "CameraJob",
    "ExportJob",
    "FrameSource",
    "LostFrame",
    "Segmenter",
    "SegmenterInfo",
    "TrackSink",
    "TrackedFrame",
    "checked_image",
    "export_drive",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.engines.images": ["checked_image"],
        "roadmask.engines.segmenter": ["Segmenter", "SegmenterInfo"],
        "roadmask.streaming.formats.export.job": ["ExportJob"],
        "roadmask.streaming.formats.export.output": ["export_drive"],
        "roadmask.streaming.frames": ["LostFrame"],
        "roadmask.streaming.recording.jobs": ["CameraJob"],
        "roadmask.streaming.sinks.sink": ["BaseSink", "CameraDescription", "TrackSink", "TrackedFrame"],
        "roadmask.streaming.sources": ["BaseSource", "FrameSource"],
    },
)
