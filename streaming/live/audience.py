"""Who watches a live run."""

from __future__ import annotations

from typing import Protocol

from roadmask.streaming.live.reports import Ages, LivePicture, LiveReport


class LiveAudience(Protocol):
    """Takes what a live run shows. Every method is called from any thread and returns at once."""

    def publish(self, picture: LivePicture) -> None:
        """Takes the newest picture of a camera; one that nobody fetched in time is dropped."""

    def report(self, report: LiveReport) -> None:
        """Takes the newest state of the run."""

    def page_ages(self, camera: str) -> Ages | None:
        """Returns how old pictures of a camera were when they were sent to whoever watches; None if nobody does."""


class Nobody:
    """The audience of a run without a page."""

    def publish(self, picture: LivePicture) -> None:
        """Forgets the picture."""

    def report(self, report: LiveReport) -> None:
        """Forgets the report."""

    def page_ages(self, camera: str) -> Ages | None:  # noqa: ARG002 - nobody watches any camera
        """Returns None."""
        return None
