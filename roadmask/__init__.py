"""roadmask: cameras in, tracked masks of pedestrians and cars out.

Everything that a program needs is here. Engines, sources, sinks and export formats of your own are made of what
`roadmask.extend` offers, and tested with `roadmask.testing`. Each name imports its module when it is first used, so
that `import roadmask` costs nothing::

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
    from roadmask.engines.errors import EngineError as EngineError
    from roadmask.engines.errors import InputError as InputError
    from roadmask.engines.errors import RoadmaskError as RoadmaskError
    from roadmask.engines.errors import RunError as RunError
    from roadmask.engines.errors import StoreError as StoreError
    from roadmask.engines.instances import Instances as Instances
    from roadmask.engines.load import load_segmenter as load_segmenter
    from roadmask.engines.masks import BoxMasks as BoxMasks
    from roadmask.engines.masks import RleMasks as RleMasks
    from roadmask.streaming.config import RunConfig as RunConfig
    from roadmask.streaming.config import load_config as load_config
    from roadmask.streaming.frames import Frame as Frame
    from roadmask.streaming.live.run import run_live as run_live
    from roadmask.streaming.live.settings import LiveSettings as LiveSettings
    from roadmask.streaming.page import LivePage as LivePage
    from roadmask.streaming.pipeline import Pipeline as Pipeline
    from roadmask.streaming.recording.drive import record_drive as record_drive
    from roadmask.streaming.sinks.drawing import draw_overlay as draw_overlay
    from roadmask.streaming.sources import open_camera as open_camera
    from roadmask.streaming.store import open_drive as open_drive
    from roadmask.streaming.store import summarize_drive as summarize_drive
    from roadmask.streaming.store.summary_plot import plot_summary as plot_summary
    from roadmask.tracking import IouTracker as IouTracker
    from roadmask.tracking import IouTrackerConfig as IouTrackerConfig
    from roadmask.tracking import Tracks as Tracks
    from roadmask.tracking import TrackState as TrackState

__version__ = "0.1.0"

__all__ = [
    "CAR",
    "CLASS_NAMES",
    "PEDESTRIAN",
    "BoxMasks",
    "EngineError",
    "Frame",
    "InputError",
    "Instances",
    "IouTracker",
    "IouTrackerConfig",
    "LivePage",
    "LiveSettings",
    "Pipeline",
    "RleMasks",
    "RoadmaskError",
    "RunConfig",
    "RunError",
    "StoreError",
    "TrackState",
    "Tracks",
    "__version__",
    "draw_overlay",
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
        "roadmask.engines.classes": ["CAR", "CLASS_NAMES", "PEDESTRIAN"],
        "roadmask.engines.errors": ["EngineError", "InputError", "RoadmaskError", "RunError", "StoreError"],
        "roadmask.engines.instances": ["Instances"],
        "roadmask.engines.load": ["load_segmenter"],
        "roadmask.engines.masks": ["BoxMasks", "RleMasks"],
        "roadmask.streaming.config": ["RunConfig", "load_config"],
        "roadmask.streaming.frames": ["Frame"],
        "roadmask.streaming.live.run": ["run_live"],
        "roadmask.streaming.live.settings": ["LiveSettings"],
        "roadmask.streaming.page": ["LivePage"],
        "roadmask.streaming.pipeline": ["Pipeline"],
        "roadmask.streaming.recording.drive": ["record_drive"],
        "roadmask.streaming.sinks.drawing": ["draw_overlay"],
        "roadmask.streaming.sources": ["open_camera"],
        "roadmask.streaming.store": ["open_drive", "summarize_drive"],
        "roadmask.streaming.store.summary_plot": ["plot_summary"],
        "roadmask.tracking": ["IouTracker", "IouTrackerConfig", "TrackState", "Tracks"],
    },
)
