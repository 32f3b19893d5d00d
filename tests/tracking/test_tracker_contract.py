"""The contract of trackers, kept by those that are part of roadmask."""

from __future__ import annotations

from roadmask.testing import TrackerContract
from roadmask.tracking import CameraTracker, IouTracker


class TestIouTracker(TrackerContract):
    def make(self) -> IouTracker:
        return IouTracker()


class TestCameraTracker(TrackerContract):
    def make(self) -> CameraTracker:
        return CameraTracker()
