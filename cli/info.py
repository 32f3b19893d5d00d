"""`roadmask info`: what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from roadmask.engines.errors import InputError


def info(
    drive: Annotated[Path | None, typer.Argument(help="A store, such as drive.zarr.", show_default=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Also draw a summary to show a colleague.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print the card of a model, such as lite; instead of a store.")
    ] = None,
) -> None:
    """Shows cameras, epochs, ledger, tracks by class with their life spans, and storage by part.

    Opens stores that are still being written, too. With --model and no store: what the model is for, what it learnt
    from, how good it is and where it fails, as Markdown. Exit codes: 0, or 2 for no store or one of a newer roadmask.
    """
    if model is not None:
        if drive is not None or plot is not None:
            raise InputError("expected either a store, perhaps with --plot, or --model alone; got both.")
        from roadmask.engines.networks.model_card import model_card

        typer.echo(model_card(model), nl=False)
        return
    if drive is None:
        raise InputError("expected a store, such as drive.zarr, or --model lite; got neither.")
    from roadmask.cli.tables import found_table, ledger_table
    from roadmask.streaming.store import open_drive, summarize_drive

    if plot is not None and plot.suffix.lower() != ".png":
        raise InputError(f"expected --plot to name a .png file, got {plot}.")
    opened = open_drive(drive)
    summary = summarize_drive(drive)
    console = Console(highlight=False)
    engine = opened.attributes.get("engine", {})
    console.print(
        f"[bold]{drive}[/]: {engine.get('weights', '?')} in {engine.get('engine', '?')} "
        f"({engine.get('precision', '?')}), roadmask {opened.attributes.get('roadmask_version', '?')}\n"
    )
    table = Table("camera", "epoch", "size", title="Epochs", title_justify="left")
    for heading in ("frames", "seconds", "masks"):
        table.add_column(heading, justify="right")
    for camera in summary.cameras:
        for epoch in camera.epochs:
            height, width = epoch.image_size
            table.add_row(
                camera.name,
                str(epoch.epoch),
                f"{width} x {height}",
                str(epoch.frames),
                f"{epoch.seconds:.1f}",
                str(epoch.instances),
            )
    storage = Table("part", title="Storage", title_justify="left")
    storage.add_column("size", justify="right")
    for part, size in summary.storage.items():
        storage.add_row(part, decimal(size))
    ledgers = [(camera.name, camera.ledger) for camera in summary.cameras]
    for shown in (table, found_table(summary), ledger_table(ledgers), storage):
        console.print(shown)
    if plot is not None:
        from roadmask.streaming.store.summary_plot import plot_summary

        plot_summary(drive, plot)
        console.print(f"drawn: {plot}")
