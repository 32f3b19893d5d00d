"""`roadmask annotate`: recordings in, proposed labels with ids over time out."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from roadmask.cli.engine_options import (
    ClassesOption,
    EngineOption,
    InputSizeOption,
    PrecisionOption,
    ScoreMinOption,
    ThreadsOption,
    WeightsOption,
)
from roadmask.streaming.sources.registry import expected_sources

if TYPE_CHECKING:
    from roadmask.training.labels.annotate import AnnotatedDrive

_SHOWN = 8
"""Doubtful objects that are listed."""


def annotate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE...",
            help=f"Each is a store, {expected_sources()}. A name becomes the name of the drive in the label set.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="LABELS", help="Label set to add to; made if there is none."),
    ] = Path("labels"),
    licence: Annotated[str, typer.Option(help="Licence of the images, kept in set.toml.")] = "unknown",
    every: Annotated[int, typer.Option(min=1, help="Label each n-th frame; all frames are tracked.")] = 1,
    stills: Annotated[
        bool,
        typer.Option("--stills", help="Sources are folders of images of any sizes, each of which is labelled alone."),
    ] = False,
    weights: WeightsOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    classes: ClassesOption = None,
    score_min: ScoreMinOption = None,
    input_size: InputSizeOption = None,
    threads: ThreadsOption = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file as for `roadmask run`; options given here take precedence."),
    ] = None,
    max_frames: Annotated[int | None, typer.Option(help="Maximum number of frames to read from each source.")] = None,
) -> None:
    """Labels recordings without a click: masks with ids over time, doubtful ones marked.

    The same command continues after a kill or Ctrl-C, and new sources are added to the same label set. A recording that
    is in the label set stays as it is, with everything that was decided of it.

    [bold]roadmask annotate monday.mp4 tuesday.mp4 --out labels --licence "CC BY 4.0"[/]

    [bold]roadmask annotate drive.zarr --out labels --every 5[/]

    Exit codes: 0 success, 2 unusable input, 3 some frames failed (the rest is labelled), 4 the label set cannot be
    written, 130 interrupted.
    """
    from roadmask.cli.progress import camera_bars, image_bar, interruptible
    from roadmask.cli.run import run_settings
    from roadmask.engines.errors import InputError
    from roadmask.streaming.redaction import redact_command
    from roadmask.training.labels.annotate import annotate as annotate_sources

    console = Console(stderr=True, highlight=False)
    settings = run_settings(
        config, weights, engine, precision, classes, score_min, input_size, threads, None, max_frames
    )
    started = time.monotonic()
    with interruptible(console) as stop:
        if stills:
            from roadmask.training.labels.stills import annotate_stills, still_images

            if max_frames is not None or every != 1:
                raise InputError("--stills takes all images of its folders: leave out --every and --max-frames.")
            count = sum(map(len, still_images(sources).values()))
            with image_bar("Labelling images", count) as advance:
                outcomes = annotate_stills(sources, out, settings, licence=licence, on_image=advance, stop=stop.is_set)
        else:
            with camera_bars(console) as on_progress:
                outcomes = annotate_sources(
                    sources,
                    out,
                    settings,
                    licence=licence,
                    every=every,
                    on_progress=on_progress,
                    stop=stop,
                    command=redact_command(sys.argv),
                )
    console.print(_table(outcomes, time.monotonic() - started))
    _print_doubtful(console, outcomes)
    for drive in outcomes:
        if drive.problem:
            console.print(f"[yellow]{drive.drive}:[/] {escape(drive.problem)}")
    interrupted = any(drive.interrupted for drive in outcomes)
    if interrupted:
        again = shlex.join(["roadmask", *sys.argv[1:]])
        console.print(f"[yellow]Interrupted. The same command continues:[/] {escape(again)}", soft_wrap=True)
    else:
        console.print(f"What is missing: roadmask balance {escape(str(out))}", soft_wrap=True)
    typer.echo(out)
    if interrupted:
        raise typer.Exit(130)
    if any(drive.problem for drive in outcomes):
        raise typer.Exit(3)


def _table(outcomes: Sequence[AnnotatedDrive], seconds: float) -> Table:
    table = Table("drive", title="Annotated", title_justify="left")
    for heading in ("images", "objects", "labels", "doubtful", "tracks joined"):
        table.add_column(heading, justify="right")
    for drive in outcomes:
        if drive.annotated_before or drive.interrupted:
            why = "annotated before" if drive.annotated_before else "interrupted"
            table.add_row(drive.drive, f"[dim]{why}[/]", "", "", "", "")
            continue
        objects = ", ".join(f"{name} {count}" for name, count in sorted(drive.objects.items())) or "none"
        doubtful = f"{drive.doubtful} ({drive.doubtful / max(drive.labels, 1):.0%})"
        table.add_row(drive.drive, str(drive.frames), objects, str(drive.labels), doubtful, str(drive.joined))
    frames = sum(drive.frames for drive in outcomes)
    table.caption = f"{frames} images labelled in {seconds:.1f} s, including start-up"
    table.caption_justify = "left"
    return table


def _print_doubtful(console: Console, outcomes: Sequence[AnnotatedDrive]) -> None:
    doubtful = sorted((each for drive in outcomes for each in drive.ranking), key=lambda each: -each.rank)
    if not doubtful:
        return
    table = Table("object", "class", "frame", "why", title="Look at these first", title_justify="left")
    for each in doubtful[:_SHOWN]:
        table.add_row(f"{each.drive} {each.object}", each.class_name, str(each.frame), ", ".join(each.why))
    if len(doubtful) > _SHOWN:
        table.caption = f"and {len(doubtful) - _SHOWN} more objects"
        table.caption_justify = "left"
    console.print(table)
