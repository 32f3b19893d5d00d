"""The state of a live run in a terminal."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from roadmask.streaming.live.reports import CameraReport, CameraState, LiveReport

_PATIENCE_S = 2.0
"""Seconds that the end of a run waits for a terminal."""
_COLOURS = {
    CameraState.LIVE: "green",
    CameraState.ENDED: "dim",
    CameraState.REFUSED: "red",
    CameraState.FAILED: "red",
}


class LiveView:
    """Draws a line for each camera on a terminal; prints changes of state where the output is not one.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._states: dict[str, tuple[CameraState, str]] = {}
        # The run must not wait for a terminal that was stopped, or for a line that stalls.
        self._newest: queue.Queue[LiveReport | None] = queue.Queue(1)
        self._thread = threading.Thread(target=self._show_all, name="live-view", daemon=True)

    def report(self, report: LiveReport) -> None:
        """Takes the newest state of the run; returns at once."""
        with suppress(queue.Empty):
            self._newest.get_nowait()  # the newest report wins
        self._newest.put_nowait(report)

    def _show_all(self) -> None:
        while (report := self._newest.get()) is not None:
            self._show(report)

    def _show(self, report: LiveReport) -> None:
        if self._live is not None:
            self._live.update(live_table(report), refresh=True)
            return
        for camera in report.cameras:
            if self._states.get(camera.camera, (None, ""))[0] is not camera.state:
                self._states[camera.camera] = (camera.state, camera.detail)
                self._console.print(f"camera {camera.camera}: {camera.state} {escape(camera.detail)}", soft_wrap=True)

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._newest.put(None, timeout=_PATIENCE_S)
        except queue.Full:  # the terminal takes nothing
            return
        self._thread.join(_PATIENCE_S)
        if self._live is not None and not self._thread.is_alive():
            self._live.stop()


def live_table(report: LiveReport) -> Table:
    """Returns the state of the run as a table."""
    table = Table("camera", "state", title=_title(report), title_justify="left")
    for heading in ("in/s", "masks/s", "age ms", "stored", "watched", "dropped", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("seen")
    for camera in report.cameras:
        colour = _COLOURS.get(camera.state, "yellow")
        engine = camera.ages.get("engine")
        table.add_row(
            camera.camera,
            f"[{colour}]{camera.state}[/]" + (f" [dim]{escape(camera.detail)}[/]" if camera.detail else ""),
            f"{camera.captured_fps:.1f}",
            f"{camera.segmented_fps:.1f}",
            f"{engine.p50_ms:.0f} / {engine.p95_ms:.0f}" if engine is not None else "-",
            str(camera.ledger.stored),
            str(camera.watched),
            _by_reason(camera.dropped),
            _by_reason(camera.ledger.failed),
            _seen(camera),
        )
    return table


def _title(report: LiveReport) -> str:
    budget = "" if report.budget_ms is None else f", budget {report.budget_ms:.0f} ms"
    size = "" if report.input_size is None else f", network input {report.input_size}"
    return f"{report.uptime_s:.0f} s, {escape(report.store_detail)}{budget}{size}"


def _by_reason(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "0"


def _seen(camera: CameraReport) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(camera.counts.items()))
