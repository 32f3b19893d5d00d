"""Progress bars, and Ctrl-C that ends a run early."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
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
                names = {label: CLASS_NAMES.get(label, f"class {label}") for label in seen.tracks}
                found = ", ".join(f"{names[label]} {count}" for label, count in sorted(seen.tracks.items()))
                bars.update(tasks[camera], completed=seen.frames, found=found)

        yield update


@contextmanager
def interruptible(console: Console) -> Iterator[threading.Event]:
    """Makes the first Ctrl-C or SIGTERM set an event, which asks a run to store what it has; the second one exits."""
    stop, at_once = threading.Event(), threading.Event()

    def ask(_number: int, _frame: Any) -> None:
        if stop.is_set():
            at_once.set()
            raise SystemExit(130)
        stop.set()
        console.print("[yellow]Stopping: storing what was read so far. Press Ctrl-C again to stop at once.[/]")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except SystemExit:
        if at_once.is_set():
            raise SystemExit(130) from None  # Ray turns it into a 1 on the way
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
