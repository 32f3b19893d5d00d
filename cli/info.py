"""`roadmask info`: shows the content of a store or of a bag."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from roadmask.engines.errors import InputError
from roadmask.engines.extras import require_plots


def info(
    drive: Annotated[
        Path | None,
        typer.Argument(help="A store, such as drive.zarr, or a bag, such as drive.mcap.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Also draw a summary as an image.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print the card of a model, such as lite, instead.")
    ] = None,
) -> None:
    """Shows the cameras of a store, their epochs, ledger and tracks by class, and storage by part.

    A store that is still being written can be shown, too. Of a bag, shows the topics with their types, messages and
    time span, and which are cameras. With --model instead of a store, prints the purpose, training data, quality and
    limits of the model as Markdown. Exit codes: 0 success, 2 there is no store or bag, or another version of roadmask
    wrote the store.
    """
    if model is not None:
        if drive is not None or plot is not None:
            raise InputError("expected a store or --model, got both: show them one at a time.")
        from roadmask.engines.networks.model_card import model_card

        typer.echo(model_card(model), nl=False)
        return
    if drive is None:
        raise InputError("expected a store, such as drive.zarr, or --model lite, got neither: name one.")
    from roadmask.streaming.sources.bags.bag import files_of_bag

    files = files_of_bag(drive)
    if not files:
        _print_store(drive, plot)
    elif plot is not None:
        raise InputError(f"expected a store for --plot, got the bag {drive}: record it first with `roadmask run`.")
    else:
        _print_bag(drive, files)


def _print_store(drive: Path, plot: Path | None) -> None:
    from roadmask.cli.tables import found_table, ledger_table
    from roadmask.streaming.store import open_drive, summarize_drive

    if plot is not None and plot.suffix.lower() != ".png":
        raise InputError(f"expected a name that ends in .png for --plot, got {plot}.")
    if plot is not None:
        require_plots()
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
    dated = any(epoch.began for camera in summary.cameras for epoch in camera.epochs)
    if dated:
        table.add_column("began (UTC)", no_wrap=True)
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
                *([f"{epoch.began:%Y-%m-%d %H:%M:%S}" if epoch.began else "?"] if dated else []),
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
        console.print(f"summary drawn to {plot}")


def _print_bag(path: Path, files: list[Path]) -> None:
    from roadmask.streaming.sources.bags.bag import bag_content
    from roadmask.streaming.sources.bags.cameras import cameras_in

    content = bag_content(files)
    cameras = {camera.topic.name: camera.name for camera in cameras_in(content)}
    table = Table(title="Topics", title_justify="left")
    for heading in ("topic", "type", "camera"):
        table.add_column(heading, overflow="fold")
    for heading in ("messages", "seconds", "per second"):
        table.add_column(heading, justify="right")
    for topic in content.topics.values():
        seconds = (topic.last_ns - topic.first_ns) / 1e9
        rate = f"{(topic.messages - 1) / seconds:.1f}" if seconds > 0 else ""
        name, kind, camera = map(escape, (topic.name, topic.type or "?", cameras.get(topic.name, "")))
        table.add_row(name, kind, camera, str(topic.messages), f"{seconds:.1f}", rate)
    console = Console(highlight=False)
    first = min((topic.first_ns for topic in content.topics.values()), default=0)
    last = max((topic.last_ns for topic in content.topics.values()), default=0)
    began = datetime.fromtimestamp(first / 1e9, UTC)
    size = decimal(sum(file.stat().st_size for file in files))
    console.print(
        f"[bold]{escape(str(path))}[/]: {len(files)} {'file' if len(files) == 1 else 'files'}, {size}, "
        f"{content.messages} messages in {(last - first) / 1e9:.1f} s from {began:%Y-%m-%d %H:%M:%S} UTC\n"
    )
    console.print(table)
    for problem in content.problems:
        console.print(f"[yellow]{escape(problem)}[/]")
