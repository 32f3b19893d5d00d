"""The live page on a recorded store: its frames, its tracks on a time line, and the images of its sources."""

from __future__ import annotations

from roadmask.viewing.server import RecordedPage

__all__ = ["RecordedPage"]
