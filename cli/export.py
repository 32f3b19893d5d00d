"""`roadmask export`: a stored drive in the formats of others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from roadmask.engines.errors import InputError


class Format(StrEnum):
    """The formats, as typed."""

    COCO = "coco"
    KITTI_MOTS = "kitti-mots"
    CVAT = "cvat"
    RLE_JSONL = "rle-jsonl"
    PARQUET = "parquet"
    VIDEO = "video"
    RERUN = "rerun"


def export(
    drive: Annotated[Path, typer.Argument(help="A store, such as drive.zarr.", show_default=False)],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="What to write; must not exist. A path, or for formats of one file a URL such as s3://bucket/a.json.",
            show_default=False,
        ),
    ],
    to: Annotated[Format, typer.Option("--to", help="The format.", show_default=False)],
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this camera; cvat and video hold one.", show_default=False)
    ] = None,
    anonymize: Annotated[
        bool,
        typer.Option("--anonymize", help="Blur every road user that was found, beyond repair (video and rerun)."),
    ] = False,
    whole_boxes: Annotated[
        bool, typer.Option("--whole-boxes", help="Blur whole boxes instead of masks with a margin.")
    ] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw masks into an anonymized video, too.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]VIDEO",
            help="Where the images are, for video and rerun; files of the recorded names beside the store are found. "
            "Repeat for chapters.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Writes a stored drive as COCO JSON, KITTI MOTS, CVAT XML, JSON lines, Parquet, a video or a rerun recording.

    OUT appears once it is whole. Exit codes: 0, 2 unusable input or arguments, 4 the store or the output failed.

    [bold]roadmask export drive.zarr --to coco drive.json[/]

    [bold]roadmask export drive.zarr --to video --anonymize --source drive.mp4 public.mp4[/]
    """
    from roadmask.streaming.formats.export import ExportJob, export_drive
    from roadmask.streaming.store import open_drive

    if (whole_boxes or overlay) and not anonymize:
        raise InputError("--whole-boxes and --overlay say how to anonymize: add --anonymize, or leave them out.")
    opened = open_drive(drive)
    sources = _sources(source or [], camera, list(opened))
    columns = (TextColumn("[bold]{task.description}"), BarColumn(bar_width=30), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(f"Writing {to.value}", total=1.0)
        job = ExportJob(
            opened,
            camera=camera,
            sources=sources,
            anonymize=anonymize,
            whole_boxes=whole_boxes,
            overlay=overlay,
            on_progress=lambda share: bars.update(task, completed=share),
        )
        export_drive(job, to.value, out)
    typer.echo(out)


def _sources(given: list[str], camera: str | None, cameras: list[str]) -> dict[str, tuple[str, ...]]:
    """Sorts sources by camera; one without a name belongs to the only camera."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, spec = text.partition("=")
        if not equals or name not in cameras:
            if camera is None and len(cameras) != 1:
                raise InputError(f"--source {text}: say of which camera, as in {cameras[0]}=VIDEO, or add --camera.")
            name, spec = camera or cameras[0], text
        found[name] = (*found.get(name, ()), spec)
    return found
