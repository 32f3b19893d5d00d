"""`roadmask bench`: how fast this machine is, against what others do on it."""

# ruff: noqa: PLC0415 - each benchmark imports what it compares with

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.extras import missing_package
from roadmask.streaming.results_json import write_results

bench_app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the records.", show_default=False)
]


@bench_app.command()
def masks(json: JsonOption = None) -> None:
    """Times pasting masks into a 1080p picture and encoding them, against torchvision and pycocotools.

    50 instances in boxes of three ranges of sizes; some are cut by the border. Both sides take the same masks, in
    turn. Needs torch and torchvision.
    """
    try:
        from roadmask.streaming.benchmarks.masks import benchmark_masks
    except ImportError as error:
        raise missing_package(error.name or "torch", "comparing with torchvision", extra="torch") from error

    console = Console(highlight=False)
    with console.status("Pasting masks"):
        results = benchmark_masks()
    _show(console, "50 masks into 1920 x 1080, as run lengths", results, leave_out=("instances", "shape"))
    if json is not None:
        write_results(json, results)


def _show(console: Console, title: str, results: list[dict[str, Any]], *, leave_out: tuple[str, ...] = ()) -> None:
    table = Table(title=title, title_justify="left")
    names = [name for name in results[0] if name not in leave_out]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for record in results:
        table.add_row(*(_shown(record[name]) for name in names))
    console.print(table)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
