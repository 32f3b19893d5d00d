"""Progress bars, and Ctrl-C that ends a run early."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from roadmask.engines.classes import CLASS_NAMES

if TYPE_CHECKING:
    from roadmask.streaming.recording.result import CameraProgress, ProgressCallback


@contextmanager
def image_bar(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Draws a progress bar on a terminal, and nothing elsewhere; gives a function to call after each image."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(description, total=total)
        yield lambda: bars.advance(task)


class SpeedColumn(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> Text:
        """Returns the speed of a task."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:5.1f} frames/s" if speed else "    - frames/s", style="cyan")


@contextmanager
def camera_bars(console: Console) -> Iterator[ProgressCallback]:
    """Draws a progress bar for each camera on a terminal, and nothing elsewhere; gives the callback that moves them."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def update(progress: dict[str, CameraProgress]) -> None:
            for camera, seen in progress.items():
                if camera not in tasks:
                    tasks[camera] = bars.add_task(camera, total=seen.frames_expected, found="")
                found = ", ".join(f"{CLASS_NAMES[label]} {count}" for label, count in sorted(seen.tracks.items()))
                bars.update(tasks[camera], completed=seen.frames, found=found)

        yield update


@contextmanager
def interruptible(console: Console, at_once: threading.Event | None = None) -> Iterator[threading.Event]:
    """Makes the first Ctrl-C, SIGTERM or SIGHUP set an event, which asks a run to store what it has.

    The second one exits with code 130. A hang-up is never the second one, since a terminal that closes sends several.

    Args:
        console: where the request is confirmed.
        at_once: set by the second request instead, for a run that ends itself; the third request then exits.
    """
    stop, exiting = threading.Event(), threading.Event()
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def ask(number: int, _frame: Any) -> None:
        if number == signal.SIGHUP:
            _detach(terminals)
        if not stop.is_set():
            stop.set()
            console.print("[yellow]Stopping: storing what was read so far. Press Ctrl-C again to stop at once.[/]")
        elif number == signal.SIGHUP:
            return
        elif at_once is None:
            exiting.set()
            raise SystemExit(130)
        elif not at_once.is_set():
            at_once.set()
            console.print("[yellow]Stopping at once: frames at the engine are dropped.[/]")
        else:
            console.show_cursor()
            os._exit(130)

    # `nohup` makes a program ignore hang-ups, which is to stay so.
    ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
    asking = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} - ignored
    before = {number: signal.signal(number, ask) for number in asking}
    try:
        yield stop
    except SystemExit:
        if exiting.is_set():
            raise SystemExit(130) from None  # Ray turns it into a 1 on the way
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _detach(terminals: Sequence[int]) -> None:
    """Sends what is written to terminals nowhere: they are gone, and writing to them would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in terminals:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
