"""`roadmask export`: writes a stored drive in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.registry import FORMATS

_SINGLE = " and ".join(name for name, each in FORMATS.items() if each.single_camera)
_IMAGES = " and ".join(name for name, each in FORMATS.items() if each.images)

_WITH_FILES = " and ".join(name for name, each in FORMATS.items() if each.image_files)


def export(
    drive: Annotated[Path, typer.Argument(help="A store, such as drive.zarr.", show_default=False)],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="Output file or folder, which must not exist; for formats of one file also a URL, such as s3://bucket/a.json.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"The format: {', '.join(FORMATS)}.",
            autocompletion=lambda: list(FORMATS),
            show_default=False,
        ),
    ],
    camera: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Export only this camera; {_SINGLE} hold a single one.", show_default=False),
    ] = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help=f"Also write the images that the output names, into a folder per camera beside OUT ({_WITH_FILES}).",
        ),
    ] = False,
    anonymize: Annotated[
        bool,
        typer.Option(
            "--anonymize",
            help=f"Blur every detected road user irreversibly ({_IMAGES}, or images that --images writes).",
        ),
    ] = False,
    whole_boxes: Annotated[
        bool, typer.Option("--whole-boxes", help="Blur boxes with a margin instead of masks with a margin.")
    ] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also draw the masks into an anonymized video.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]VIDEO",
            help=f"Recording that the images are read from, for {_IMAGES} and --images; a file of the recorded name in "
            "the current folder or beside the store is found without it. Repeat for chapters.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Exports a stored drive to the format of another tool.

    OUT appears when it is complete. Exit codes: 0 success, 2 unusable input or arguments, 4 the store cannot be read or
    the output cannot be written.

    [bold]roadmask export drive.zarr --to coco drive.json[/]

    [bold]roadmask export drive.zarr --to coco --images coco/drive.json[/]

    [bold]roadmask export drive.zarr --to video --anonymize --source drive.mp4 public.mp4[/]
    """
    from roadmask.cli.stored_sources import sources_by_camera
    from roadmask.streaming.formats.export import ExportJob, export_drive
    from roadmask.streaming.store import open_drive

    if (whole_boxes or overlay) and not anonymize:
        raise InputError("--whole-boxes and --overlay need --anonymize: add it, or leave them out.")
    opened = open_drive(drive)
    sources = sources_by_camera(source or [], camera, list(opened))
    columns = (TextColumn("[bold]{task.description}"), BarColumn(bar_width=30), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(f"Writing {to}", total=1.0)
        job = ExportJob(
            opened,
            camera=camera,
            sources=sources,
            image_files=images,
            anonymize=anonymize,
            whole_boxes=whole_boxes,
            overlay=overlay,
            on_progress=lambda share: bars.update(task, completed=share),
        )
        export_drive(job, to, out)
    typer.echo(out)
