"""roadmask: cameras in, tracked masks of pedestrians and cars out.

Everything that a program needs is here; contract tests for parts of your own are in `roadmask.testing`. Each name
imports its module when it is first used, so that `import roadmask` costs nothing::

    import roadmask

    pipeline = roadmask.Pipeline(roadmask.load_segmenter("lite"))
    tracks = pipeline.step(image, timestamp_ns)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.engines.classes import CAR as CAR
    from roadmask.engines.classes import CLASS_NAMES as CLASS_NAMES
    from roadmask.engines.classes import PEDESTRIAN as PEDESTRIAN
    from roadmask.engines.classes import category_ids as category_ids
    from roadmask.engines.errors import EngineError as EngineError
    from roadmask.engines.errors import InputError as InputError
    from roadmask.engines.errors import RoadmaskError as RoadmaskError
    from roadmask.engines.errors import RunError as RunError
    from roadmask.engines.errors import StoreError as StoreError
    from roadmask.engines.images import checked_image as checked_image
    from roadmask.engines.instances import Instances as Instances
    from roadmask.engines.load import load_segmenter as load_segmenter
    from roadmask.engines.masks import BoxMasks as BoxMasks
    from roadmask.engines.masks import RleMasks as RleMasks
    from roadmask.engines.segmenter import Segmenter as Segmenter
    from roadmask.engines.segmenter import SegmenterInfo as SegmenterInfo
    from roadmask.evaluation.failures import find_failures as find_failures
    from roadmask.sample_drive import SampleDrive as SampleDrive
    from roadmask.streaming.config import RunConfig as RunConfig
    from roadmask.streaming.config import load_config as load_config
    from roadmask.streaming.formats.export.job import ExportJob as ExportJob
    from roadmask.streaming.formats.export.output import export_drive as export_drive
    from roadmask.streaming.frames import Frame as Frame
    from roadmask.streaming.frames import LostFrame as LostFrame
    from roadmask.streaming.live.run import run_live as run_live
    from roadmask.streaming.live.settings import LiveSettings as LiveSettings
    from roadmask.streaming.page import LivePage as LivePage
    from roadmask.streaming.pipeline import Pipeline as Pipeline
    from roadmask.streaming.recording.drive import record_drive as record_drive
    from roadmask.streaming.recording.jobs import CameraJob as CameraJob
    from roadmask.streaming.sinks.drawing import draw_overlay as draw_overlay
    from roadmask.streaming.sinks.sink import BaseSink as BaseSink
    from roadmask.streaming.sinks.sink import CameraDescription as CameraDescription
    from roadmask.streaming.sinks.sink import TrackedFrame as TrackedFrame
    from roadmask.streaming.sinks.sink import TrackSink as TrackSink
    from roadmask.streaming.sources import BaseSource as BaseSource
    from roadmask.streaming.sources import FrameSource as FrameSource
    from roadmask.streaming.sources import open_camera as open_camera
    from roadmask.streaming.store import open_drive as open_drive
    from roadmask.streaming.store import summarize_drive as summarize_drive
    from roadmask.streaming.store.summary_plot import plot_summary as plot_summary
    from roadmask.tracking import IouTracker as IouTracker
    from roadmask.tracking import IouTrackerConfig as IouTrackerConfig
    from roadmask.tracking import Tracks as Tracks
    from roadmask.tracking import TrackState as TrackState
    from roadmask.viewing.server import RecordedPage as RecordedPage

__version__ = "0.1.0"

__all__ = [
    "CAR",
    "CLASS_NAMES",
    "PEDESTRIAN",
    "BaseSink",
    "BaseSource",
    "BoxMasks",
    "CameraDescription",
    "CameraJob",
    "EngineError",
    "ExportJob",
    "Frame",
    "FrameSource",
    "InputError",
    "Instances",
    "IouTracker",
    "IouTrackerConfig",
    "LivePage",
    "LiveSettings",
    "LostFrame",
    "Pipeline",
    "RecordedPage",
    "RleMasks",
    "RoadmaskError",
    "RunConfig",
    "RunError",
    "SampleDrive",
    "Segmenter",
    "SegmenterInfo",
    "StoreError",
    "TrackSink",
    "TrackState",
    "TrackedFrame",
    "Tracks",
    "__version__",
    "category_ids",
    "checked_image",
    "draw_overlay",
    "export_drive",
    "find_failures",
    "load_config",
    "load_segmenter",
    "open_camera",
    "open_drive",
    "plot_summary",
    "record_drive",
    "run_live",
    "summarize_drive",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.engines.classes": ["CAR", "CLASS_NAMES", "PEDESTRIAN", "category_ids"],
        "roadmask.engines.errors": ["EngineError", "InputError", "RoadmaskError", "RunError", "StoreError"],
        "roadmask.engines.images": ["checked_image"],
        "roadmask.engines.instances": ["Instances"],
        "roadmask.engines.load": ["load_segmenter"],
        "roadmask.engines.masks": ["BoxMasks", "RleMasks"],
        "roadmask.engines.segmenter": ["Segmenter", "SegmenterInfo"],
        "roadmask.evaluation.failures": ["find_failures"],
        "roadmask.sample_drive": ["SampleDrive"],
        "roadmask.streaming.config": ["RunConfig", "load_config"],
        "roadmask.streaming.formats.export.job": ["ExportJob"],
        "roadmask.streaming.formats.export.output": ["export_drive"],
        "roadmask.streaming.frames": ["Frame", "LostFrame"],
        "roadmask.streaming.live.run": ["run_live"],
        "roadmask.streaming.live.settings": ["LiveSettings"],
        "roadmask.streaming.page": ["LivePage"],
        "roadmask.streaming.pipeline": ["Pipeline"],
        "roadmask.streaming.recording.drive": ["record_drive"],
        "roadmask.streaming.recording.jobs": ["CameraJob"],
        "roadmask.streaming.sinks.drawing": ["draw_overlay"],
        "roadmask.streaming.sinks.sink": ["BaseSink", "CameraDescription", "TrackSink", "TrackedFrame"],
        "roadmask.streaming.sources": ["BaseSource", "FrameSource", "open_camera"],
        "roadmask.streaming.store": ["open_drive", "summarize_drive"],
        "roadmask.streaming.store.summary_plot": ["plot_summary"],
        "roadmask.tracking": ["IouTracker", "IouTrackerConfig", "TrackState", "Tracks"],
        "roadmask.viewing.server": ["RecordedPage"],
    },
)
