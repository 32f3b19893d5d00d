"""Progress of a batch: a bar for each drive that is being recorded, one for all, and a line for each that ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from roadmask.cli.progress import SpeedColumn, interruptible

if TYPE_CHECKING:
    from roadmask.streaming.batch.batch import BatchPlan
    from roadmask.streaming.batch.outcome import DriveOutcome
    from roadmask.streaming.batch.schedule import BatchView

OnChange = Callable[["BatchView", "DriveOutcome | None"], None]


@contextmanager
def batch_progress(console: Console, plan: BatchPlan) -> Iterator[tuple[threading.Event, OnChange]]:
    """Shows progress; yields the event that Ctrl-C sets, and the function to call with progress and outcomes."""
    to_do = {drive.task.drive.name: drive.frames for drive in plan.drives if not drive.finished and not drive.problem}
    unknown = None in to_do.values()
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with (
        interruptible(console) as stop,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        overall = progress.add_task(
            "all drives", total=None if unknown else sum(frames or 0 for frames in to_do.values())
        )
        running: dict[str, TaskID] = {}

        def on_change(view: BatchView, outcome: DriveOutcome | None) -> None:
            for drive in list(running):
                if drive not in view.running:
                    progress.remove_task(running.pop(drive))
            for drive, frames in view.running.items():
                if drive not in running:
                    running[drive] = progress.add_task(escape(drive), total=view.expected.get(drive))
                progress.update(running[drive], completed=frames)
            ended = sum(to_do[drive] or view.outcomes[drive].frames for drive in to_do if drive in view.outcomes)
            progress.update(overall, completed=ended + sum(view.running.values()))
            if outcome is not None and outcome.status != "waiting":
                what = outcome.reason or f"{outcome.frames} frames in {outcome.seconds:.1f} s"
                count = f"{len(view.outcomes)}/{len(plan.drives)}"
                progress.console.print(
                    f"{count} {escape(outcome.drive)}: {outcome.status}, {escape(what)}", soft_wrap=True
                )

        yield stop, on_change
