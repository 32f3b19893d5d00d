"""`roadmask check`: checks a store for damage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from roadmask.engines.errors import StoreCorruptError


def check(
    drive: Annotated[Path, typer.Argument(help="A store, such as drive.zarr.", show_default=False)],
) -> None:
    """Checks a store for damage: masks, id maps, areas, offsets, ids and ledger must agree.

    Reads every committed byte and names the first broken file. A run that was interrupted or killed is no damage: what
    it committed is checked. Exit codes: 0 no damage, 2 there is no store, or another version of roadmask wrote it, 4
    the store is damaged.
    """
    from roadmask.streaming.store import check_drive

    console = Console(highlight=False)
    with console.status(f"Checking {drive}"):
        report = check_drive(drive)
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    if report.ok:
        found = f"{report.frames} frames, {report.instances} masks"
        name = escape(str(drive))
        if report.writer is not None:
            console.print(f"[green]{name} is not damaged:[/] {found} so far, a run is writing to it.", soft_wrap=True)
        elif report.resumable:
            console.print(
                f"[yellow]{name} is not damaged: interrupted, resumable:[/] {found}; the command of its run continues "
                "it with --resume.",
                soft_wrap=True,
            )
        elif report.interrupted:
            console.print(
                f"[yellow]{name} is not damaged: interrupted:[/] {found}; a live run cannot be resumed.", soft_wrap=True
            )
        else:
            console.print(f"[green]{name} is not damaged:[/] {found}.", soft_wrap=True)
        return
    if report.first_broken_file is not None:
        console.print(f"[bold red]first broken file:[/] {drive / report.first_broken_file}", soft_wrap=True)
    for problem in report.problems:
        console.print(f"  {escape(str(problem))}", soft_wrap=True)
    if report.suppressed:
        console.print(f"  and {report.suppressed} more")
    sys.exit(StoreCorruptError.exit_code)
