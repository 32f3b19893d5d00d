"""The store of masks: one Zarr group for each drive.

zarr is loaded when something here is first used, so that programs without a store never need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.streaming.store.camera_reader import CameraReader as CameraReader
    from roadmask.streaming.store.camera_writer import CameraWriter as CameraWriter
    from roadmask.streaming.store.check import check_drive as check_drive
    from roadmask.streaming.store.check_report import CheckReport as CheckReport
    from roadmask.streaming.store.check_report import Problem as Problem
    from roadmask.streaming.store.config import StoreConfig as StoreConfig
    from roadmask.streaming.store.drive_reader import Drive as Drive
    from roadmask.streaming.store.drive_reader import open_drive as open_drive
    from roadmask.streaming.store.layout import EpochInfo as EpochInfo
    from roadmask.streaming.store.mask_store import MaskStore as MaskStore
    from roadmask.streaming.store.mask_store import require_nothing as require_nothing
    from roadmask.streaming.store.records import Sighting as Sighting
    from roadmask.streaming.store.records import StoredFrame as StoredFrame
    from roadmask.streaming.store.records import TrackSummary as TrackSummary
    from roadmask.streaming.store.records import TrackView as TrackView
    from roadmask.streaming.store.summary import DriveSummary as DriveSummary
    from roadmask.streaming.store.summary import summarize_drive as summarize_drive

__all__ = [
    "CameraReader",
    "CameraWriter",
    "CheckReport",
    "Drive",
    "DriveSummary",
    "EpochInfo",
    "MaskStore",
    "Problem",
    "Sighting",
    "StoreConfig",
    "StoredFrame",
    "TrackSummary",
    "TrackView",
    "check_drive",
    "open_drive",
    "require_nothing",
    "summarize_drive",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.streaming.store.camera_writer": ["CameraWriter"],
        "roadmask.streaming.store.check": ["check_drive"],
        "roadmask.streaming.store.check_report": ["CheckReport", "Problem"],
        "roadmask.streaming.store.config": ["StoreConfig"],
        "roadmask.streaming.store.layout": ["EpochInfo"],
        "roadmask.streaming.store.camera_reader": ["CameraReader"],
        "roadmask.streaming.store.drive_reader": ["Drive", "open_drive"],
        "roadmask.streaming.store.records": ["Sighting", "StoredFrame", "TrackSummary", "TrackView"],
        "roadmask.streaming.store.summary": ["DriveSummary", "summarize_drive"],
        "roadmask.streaming.store.mask_store": ["MaskStore", "require_nothing"],
    },
)
