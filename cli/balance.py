"""`roadmask balance`: what a label set holds, and what it lacks."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from roadmask.engines.errors import InputError


def balance(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="A label set.", show_default=False)],
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Also draw the balance as an image.", show_default=False)
    ] = None,
    at_least: Annotated[
        int | None,
        typer.Option(
            "--min", min=1, metavar="N", help="Exit 1 if a class of set.toml has fewer objects.", show_default=False
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the counts as one JSON object instead of tables.")
    ] = False,
) -> None:
    """Counts objects and labels by class, size, hour and drive, and says what is missing.

    An object is one thing over time, however many labels it has. Its size is the median area of its masks; hours are
    those of recordings whose time of day is known. Rejected labels do not count.

    [bold]roadmask balance labels --plot balance.png[/]

    Exit codes: 0 success, 1 a class has fewer objects than --min, 2 unusable input.
    """
    from roadmask.engines.extras import missing_package
    from roadmask.training.labels.balance import DEFAULT_MIN
    from roadmask.training.labels.balance import balance as count
    from roadmask.training.labels.reading import read_label_set

    if plot is not None and plot.suffix.lower() != ".png":
        raise InputError(f"expected a name that ends in .png for --plot, got {plot}.")
    found = count(read_label_set(labels), at_least or DEFAULT_MIN)
    if json:
        typer.echo(json_module.dumps(found.to_dict(), indent=2))
    else:
        console = Console(highlight=False)
        table = Table("class", title="Balance", title_justify="left")
        for heading in ("objects", "labels", "decided", "images", "small/medium/large", "drives", "crowds"):
            table.add_column(heading, justify="right")
        for each in found.classes:
            decided = f"{each.decided / each.sightings:.0%}" if each.sightings else "-"
            sizes = "/".join(map(str, each.by_size.values()))
            counts = (each.objects, each.sightings, decided, each.images, sizes, len(each.by_drive), each.crowds)
            table.add_row(each.class_name, *map(str, counts))
        table.caption = f"{found.images} images, {found.empty_images} of them without an object"
        table.caption_justify = "left"
        console.print(table)
        for sentence in found.lacks:
            console.print(f"- {escape(sentence)}")
        if not found.lacks:
            console.print("Nothing is missing.")
    if plot is not None:
        try:
            from roadmask.training.labels.balance_plot import plot_balance
        except ImportError as error:
            raise missing_package(error.name or "matplotlib", "drawing a balance") from error
        plot_balance(found, plot, labels.resolve().name)
        typer.echo(f"balance drawn to {plot}", err=True)
    few = [each for each in found.classes if at_least is not None and each.objects < at_least]
    if few:
        named = ", ".join(f"{each.class_name} ({each.objects})" for each in few)
        typer.echo(f"expected at least {at_least} objects of each class, got fewer of {named}.", err=True)
        raise typer.Exit(1)
