"""`roadmask labels`: shows, exports and imports label sets."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

labels_app = typer.Typer(help="Show label sets, and exchange them with other tools.", no_args_is_help=True)

_FORMATS = "coco, cvat, youtube-vis, kitti-mots or darwin"
_LabelsArgument = Annotated[Path, typer.Argument(metavar="LABELS", help="A label set.", show_default=False)]


@labels_app.command("show")
def show(labels: _LabelsArgument) -> None:
    """Checks every line of a label set, and shows its version and what is decided.

    Exit codes: 0 success, 2 a line is broken (the message names it).
    """
    from roadmask.training.labels.reading import read_label_set
    from roadmask.training.labels.records import LabelState

    found = read_label_set(labels)
    console = Console(highlight=False)
    console.print(f"[bold]{labels}[/]: version {found.version[:16]}, {len(found.images)} images")
    table = Table("class", "category id", title="Labels", title_justify="left")
    for state in LabelState:
        table.add_column(state.value, justify="right")
    for name, number in found.description.classes.items():
        states = [each.state for each in found.labels.values() if each.class_name == name]
        table.add_row(name, str(number), *(str(states.count(state)) for state in LabelState))
    console.print(table)
    sources = Table("drive", "images", "licence", "place", title="Sources", title_justify="left")
    for source in found.description.sources.values():
        images = sum(drive == source.name for drive, _ in found.images)
        sources.add_row(source.name, str(images), source.licence, ", ".join(source.specs) or "files")
    console.print(sources)


@labels_app.command("export")
def export_command(
    labels: _LabelsArgument,
    out: Annotated[Path, typer.Argument(help="File or folder to write; must not exist.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"{_FORMATS}.", show_default=False)],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also copy the images into this folder, by their names in the file.", show_default=False
        ),
    ] = None,
) -> None:
    """Writes a label set in the format of another tool; rejected labels are left out.

    kitti-mots and darwin are folders with a file for each drive. Ids over time and masks survive all of them.

    [bold]roadmask labels export labels tasks.xml --to cvat --images tasks[/]

    Exit codes: 0 success, 2 unusable input, 4 the output cannot be written.
    """
    from roadmask.cli.progress import image_bar
    from roadmask.training.labels.formats.interchange import image_name
    from roadmask.training.labels.formats.registry import export_labels
    from roadmask.training.labels.frames import image_files
    from roadmask.training.labels.reading import read_label_set

    found = read_label_set(labels)
    export_labels(found, to, out)
    if images is not None:
        with image_bar("Copying images", len(found.images)) as advance:
            for key, path in image_files(found).items():
                copy = images / image_name(found.images[key])
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                advance()
    typer.echo(out)


@labels_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="File or folder to read.", show_default=False)],
    source: Annotated[str, typer.Option("--from", metavar="FORMAT", help=f"{_FORMATS}.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="LABELS", help="Label set to add to; made if there is none.")
    ] = Path("labels"),
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of images that are not in the label set, by their names in the file.",
            show_default=False,
        ),
    ] = None,
    drive: Annotated[
        str | None,
        typer.Option(help="Drive of images whose names have none. [dim]Default: the name of the file[/]"),
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Who made or checked the labels. [dim]Default: the user's name[/]")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of new images, kept in set.toml.")] = "unknown",
    add_classes: Annotated[
        bool, typer.Option("--add-classes", help="Add classes that the label set does not have.")
    ] = False,
) -> None:
    """Adds the labels of another tool to a label set.

    Images that are in the set were exported from it: labels that came back unchanged are accepted, those that changed
    are fixed, and those that are missing are rejected. Other images are new and need --images. Nothing is added if
    anything is wrong.

    [bold]roadmask labels import tasks.xml --from cvat --out labels[/]

    [bold]roadmask labels import instances.json --from coco --images photos --add-classes --out labels[/]

    Exit codes: 0 success, 2 unusable input, 4 the label set cannot be written.
    """
    from roadmask.streaming.camera_names import camera_name
    from roadmask.training.labels.formats.merging import merge
    from roadmask.training.labels.formats.registry import label_format
    from roadmask.training.labels.writing import LabelWriter

    chosen = label_format(source)
    foreign = chosen.read(file, drive or camera_name(file.stem) or "images")
    with LabelWriter(out) as writer:
        merged = merge(
            writer,
            foreign,
            chosen,
            person or getpass.getuser(),
            images=images,
            licence=licence,
            add_classes=add_classes,
        )
    Console(highlight=False).print(
        f"{merged.images} images and {merged.added} labels added, {merged.accepted} accepted, {merged.fixed} fixed, "
        f"{merged.rejected} rejected"
    )
    typer.echo(out)
