"""Benchmark records: shown as a table, written as JSON and compared with limits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the records to this file.", show_default=False)
]


def show_records(
    console: Console, title: str, results: list[dict[str, Any]], *, leave_out: tuple[str, ...] = ()
) -> None:
    """Prints records as a table: one row per record, or one column per record if the rows would not fit.

    Args:
        console: where the table is printed.
        title: heading of the table.
        results: flat records with the same fields.
        leave_out: fields that are not shown.
    """
    table = Table(title=title, title_justify="left")
    names = [name for name in results[0] if name not in leave_out]
    if sum(max(map(len, name.split("_"))) + 3 for name in names) > console.width:
        table.show_header = False
        for name in names:
            table.add_row(name.replace("_", " "), *(_shown(record[name]) for record in results))
        console.print(table)
        return
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for record in results:
        table.add_row(*(_shown(record[name]) for name in names))
    console.print(table)


def require_limits(
    console: Console,
    results: list[dict[str, Any]],
    limits: Iterable[tuple[str, float | None, bool]],
    *,
    name: str = "{source}",
) -> None:
    """Ends the program with exit code 1 if a record misses a limit. A value that was not measured misses it.

    Args:
        console: where each miss is printed.
        results: flat records.
        limits: field of the records, its limit (None: no limit), and whether the limit is the largest allowed value
            (True) or the smallest (False).
        name: format string that names a record by its fields.

    Raises:
        typer.Exit: with code 1, if a limit was missed.
    """
    missed = False
    for field, limit, upper in limits:
        for record in results:
            value = record[field]
            if limit is None or (value is not None and (value <= limit if upper else value >= limit)):
                continue
            missed = True
            expected = f"expected at {'most' if upper else 'least'} {limit}"
            console.print(f"{name.format(**record)}: {field} is {value}, {expected}.", soft_wrap=True)
    if missed:
        raise typer.Exit(1)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
