"""The live page on a recorded store: its frames, its tracks on a time line, and the images of its sources."""

from __future__ import annotations

import roadmask.streaming.page  # noqa: F401 - first: it says what to install where the packages of a page are missing
from roadmask.viewing.server import RecordedPage

__all__ = ["RecordedPage"]
