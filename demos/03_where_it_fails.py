"""Shows where the model fails: at night, in rain, with riders and in a crowd, each drawn and compared with its truth.

    make failures

Writes an image of each scene to out/failures, and prints what was found and what was not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import roadmask
from roadmask.evaluation import find_failures

OUT = Path("out/failures")
WRONG = ("found again", "too rough", "mostly on nothing")
HEADINGS = ("pedestrians found", "cars found", "missed", *WRONG, "over several")


def main() -> None:
    """Segments the scenes with the default model, in fp32 so that the result is the same on every machine."""
    console = Console()
    segmenter = roadmask.load_segmenter("lite", engine="openvino", precision="fp32")
    single = table("One frame of each scene, the one in its image")
    several = table("Several frames of each scene")
    paths = []
    with console.status("Drawing and segmenting four scenes"):
        for result in find_failures(segmenter, OUT):
            add_rows(single, result.tallies(whole=False))
            add_rows(several, result.tallies(whole=True))
            paths.append(f"{result.scene.name:>8}  {result.path}")
    console.print(single, several, sep="\n")
    console.print(
        "An object counts from 20 px, and is found by a mask of its class at IoU 0.5. Found again: a mask on what "
        "another has found. Too rough: on something nothing has found, but below IoU 0.5. Over several: a mask, right "
        "or wrong, that covers most of two or more. All is drawn by code: real images may be better or worse."
    )
    console.print(*paths, sep="\n")


def table(title: str) -> Table:
    """Returns an empty table."""
    made = Table(title=title, title_justify="left")
    made.add_column("scene", no_wrap=True)
    for heading in ("frames", *HEADINGS):
        made.add_column(heading, justify="right")
    return made


def add_rows(to: Table, tallies: dict) -> None:
    """Adds a row for a scene, and one for the same frames by day or dry if it has weather."""
    for name, tally in tallies.items():
        found = tally.found_of(roadmask.PEDESTRIAN), tally.found_of(roadmask.CAR)
        counts = (tally.missed, *tally.wrong.values(), tally.several)
        to.add_row(name, str(tally.frames), *found, *map(str, counts))


if __name__ == "__main__":
    try:
        main()
    except roadmask.RoadmaskError as error:
        sys.exit(f"error: {error}")
