"""The state of a live run in a terminal: nobody waits for one that takes nothing."""

from __future__ import annotations

import io
import threading
import time

from rich.console import Console

from roadmask.cli.live_view import LiveView
from roadmask.streaming.live.reports import CameraState
from support.live_feed import camera_report, run_report


class Stalled(io.StringIO):
    """A terminal that was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed = threading.Event()

    def write(self, text: str) -> int:
        self.resumed.wait(120)
        return super().write(text)


def test_a_terminal_that_was_stopped_holds_nobody_up() -> None:
    terminal = Stalled()
    with LiveView(Console(file=terminal)) as view:
        begun = time.monotonic()
        for _ in range(5):
            view.report(run_report())
        view.report(run_report(camera_report(state=CameraState.FAILED, detail="no such codec")))
        assert time.monotonic() - begun < 60, "the terminal stands still for longer"
        terminal.resumed.set()
    assert "failed no such codec" in terminal.getvalue()
