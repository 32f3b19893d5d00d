"""Instances over time become tracks. Knows no camera, no engine and no store."""

from roadmask.tracking.backfill import Backfill, unconfirmed_to_none
from roadmask.tracking.config import IouTrackerConfig
from roadmask.tracking.iou_tracker import IouTracker
from roadmask.tracking.tracks import LostTracks, Tracker, TrackerState, Tracks, TrackState

__all__ = [
    "Backfill",
    "IouTracker",
    "IouTrackerConfig",
    "LostTracks",
    "TrackState",
    "Tracker",
    "TrackerState",
    "Tracks",
    "unconfirmed_to_none",
]
