"""Records a drive twice, and shows what was found.

    make demo [SOURCE=my.mp4]    records your own video; else the sample drive, and tells how right the result is

The same camera is recorded in this process, then with another one on Ray; both must store the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import roadmask
from roadmask.sample_drive import SampleDrive

OUT = Path("out/demo")
console = Console()


def main(source: str = "synthetic:", rear: str = "synthetic:rear?fps=5") -> None:
    """Records into out/demo, which is made anew each time."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    drive, pair, overlay, summary = (OUT / n for n in ("drive.zarr", "pair.zarr", "overlay.mp4", "summary.png"))
    [front] = record("One camera, in this process", {"front": source}, drive, overlay=overlay)
    record("Two cameras, on Ray", {"front": source, "rear": rear}, pair, on_ray=True)
    if contents(drive / "front") != contents(pair / "front"):
        sys.exit("The stores differ: please report this.")
    console.print("The stores agree: camera [bold]front[/] is the same in both, byte for byte.\n")
    found = roadmask.summarize_drive(drive).cameras[0].classes
    rows = [(c.class_name, c.tracks, c.instances, c.median_s, c.longest_s) for c in found]
    show("Found", ("class", "tracks", "masks", "median s", "longest s"), rows)
    if source == "synthetic:":
        show_how_right(roadmask.open_drive(drive)["front"])
    console.print(f"{front.ledger.captured} frames captured: {front.ledger}\n")
    roadmask.plot_summary(drive, summary)
    console.print(f"  masks  {drive}", f"  video  {overlay}", f"summary  {summary}", sep="\n")


def record(title: str, sources: dict[str, str], out: Path, **options) -> list:
    """Records, and shows how far each camera has come."""
    console.rule(title)
    with console.status("Starting") as status:

        def update(progress: dict) -> None:
            status.update(", ".join(f"{n}: {c.frames} of {c.frames_expected} frames" for n, c in progress.items()))

        return roadmask.record_drive(sources, out, on_progress=update, **options).cameras


def contents(folder: Path) -> dict[Path, bytes]:
    """Returns the bytes of every file of a store."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def show_how_right(camera) -> None:
    """Compares what is stored with what the renderer of the sample drive knows."""
    headings = ("class", "recall", "precision", "mean mask IoU", "objects", "found", "id switches")
    found = SampleDrive().score(camera).classes
    rows = [(c.name, c.recall, c.precision, c.mean_iou, c.objects, c.objects_found, c.id_switches) for c in found]
    show("How right: at mask IoU 0.5, of objects that show 20 px and more", headings, rows)


def show(title: str, headings: tuple[str, ...], rows: list[tuple]) -> None:
    """Prints a table."""
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2] * 2)
    except roadmask.RoadmaskError as error:
        sys.exit(f"error: {error}")
