"""`roadmask check`: does a store agree with itself?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.errors import StoreCorruptError


def check(
    drive: Annotated[Path, typer.Argument(help="A store, such as drive.zarr.", show_default=False)],
) -> None:
    """Checks that masks, labels, areas, offsets, ids and the ledger of a store agree.

    Names the first broken shard. Exit codes: 0 all agree, 2 no store or a newer one, 4 the store is damaged.
    """
    from roadmask.streaming.store import check_drive  # noqa: PLC0415 - zarr is slow to import

    console = Console(highlight=False)
    with console.status(f"Checking {drive}"):
        report = check_drive(drive)
    if report.ok:
        console.print(f"[green]{drive} agrees with itself:[/] {report.frames} frames, {report.instances} masks.")
        return
    table = Table("camera", "epoch", "frame", "problem", title=f"{drive} is damaged", title_justify="left")
    for problem in report.problems:
        table.add_row(problem.camera, str(problem.epoch), str(problem.frame), problem.what)
    console.print(table)
    sys.exit(StoreCorruptError.exit_code)
