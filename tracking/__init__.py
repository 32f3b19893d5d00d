"""Turns instances over time into tracks. Independent of cameras, engines and stores."""

from roadmask.tracking.backfill import Backfill, unconfirmed_to_none
from roadmask.tracking.camera.ego_pose import warp_of_rotation
from roadmask.tracking.camera.tracker import CameraTracker
from roadmask.tracking.coasting import Coasting, coasted
from roadmask.tracking.iou.config import IouTrackerConfig
from roadmask.tracking.iou.tracker import IouTracker
from roadmask.tracking.offline import Filled, OfflineConfig, Refined, refine
from roadmask.tracking.propagation import GapFiller, MaskPropagator
from roadmask.tracking.tracks import LostTracks, Tracker, TrackerState, Tracks, TrackState

__all__ = [
    "Backfill",
    "CameraTracker",
    "Coasting",
    "Filled",
    "GapFiller",
    "IouTracker",
    "IouTrackerConfig",
    "LostTracks",
    "MaskPropagator",
    "OfflineConfig",
    "Refined",
    "TrackState",
    "Tracker",
    "TrackerState",
    "Tracks",
    "coasted",
    "refine",
    "unconfirmed_to_none",
    "warp_of_rotation",
]
