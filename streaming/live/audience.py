"""Who watches a live run."""

from __future__ import annotations

from typing import Protocol

from roadmask.streaming.live.reports import Ages, LiveImage, LiveReport


class LiveAudience(Protocol):
    """Takes what a live run shows. Every method is called from any thread and returns at once."""

    def publish(self, image: LiveImage) -> None:
        """Takes the newest image of a camera; one that nobody fetched in time is dropped."""

    def report(self, report: LiveReport) -> None:
        """Takes the newest state of the run."""

    def page_ages(self, camera: str) -> Ages | None:
        """Returns how old images of a camera were when they were sent to whoever watches; None if nobody does."""


class Nobody:
    """The audience of a run without a page."""

    def publish(self, image: LiveImage) -> None:
        """Forgets the image."""

    def report(self, report: LiveReport) -> None:
        """Forgets the report."""

    def page_ages(self, camera: str) -> Ages | None:  # noqa: ARG002 - nobody watches any camera
        """Returns None."""
        return None
