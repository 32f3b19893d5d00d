"""Runs with a bar for each camera: frames, speed, time left, and what was found so far."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from roadmask.engines.classes import CLASS_NAMES

if TYPE_CHECKING:
    from roadmask.streaming.config import RunConfig
    from roadmask.streaming.recording.jobs import CameraJob, ProgressCallback, RunResult
    from roadmask.streaming.recording.recorder import CameraProgress


def record_with_progress(
    console: Console,
    jobs: Sequence[CameraJob],
    config: RunConfig,
    out: Path,
    *,
    on_ray: bool = False,
    command: str = "",
    resume: bool = False,
) -> RunResult:
    """Records a drive as `record_drive` does, with a bar for each camera and Ctrl-C to end early."""
    from roadmask.streaming.recording.drive import probe_cameras, record_drive

    probes = probe_cameras(jobs, config, out, resume=resume)
    lengths = {camera: _shorter(seen.frames_expected, config.max_frames) for camera, seen in probes.items()}
    with interruptible(console) as stop, _bars(console, lengths) as on_progress:
        return record_drive(
            jobs,
            probes,
            config,
            out,
            on_ray=on_ray,
            on_progress=on_progress,
            stop=stop,
            command=command,
            resume=resume,
        )


def _shorter(expected: int | None, most: int | None) -> int | None:
    return min((length for length in (expected, most) if length is not None), default=None)


@contextmanager
def image_bar(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Draws a bar on a terminal, nothing where there is none; gives what to call after each image."""
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


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:5.1f} frames/s" if speed else "    - frames/s", style="cyan")


@contextmanager
def _bars(console: Console, lengths: dict[str, int | None]) -> Iterator[ProgressCallback]:
    """Draws a bar for each camera on a terminal, nothing where there is none."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _SpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {camera: bars.add_task(camera, total=length, found="") for camera, length in lengths.items()}

        def update(progress: dict[str, CameraProgress]) -> None:
            for camera, seen in progress.items():
                found = ", ".join(f"{CLASS_NAMES[label]} {count}" for label, count in sorted(seen.tracks.items()))
                bars.update(tasks[camera], completed=seen.frames, found=found)

        yield update


@contextmanager
def interruptible(console: Console) -> Iterator[threading.Event]:
    """The first Ctrl-C, or SIGTERM, asks the run to store what it has and end; the second one ends it at once."""
    stop, at_once = threading.Event(), threading.Event()

    def ask(_number: int, _frame: Any) -> None:
        if stop.is_set():
            at_once.set()
            raise SystemExit(130)
        stop.set()
        console.print("[yellow]Stopping: storing what was read so far. Ctrl-C again stops at once.[/]")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except SystemExit:
        if at_once.is_set():
            raise SystemExit(130) from None  # Ray makes a 1 of it on the way
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
