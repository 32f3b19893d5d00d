"""`roadmask eval tracks`: how well ids were kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.streaming.formats.kitti import KittiFormat

if TYPE_CHECKING:
    from roadmask.streaming.measures import TrackMeasures


def tracks(
    gt: Annotated[Path, typer.Option(help="Folder of ground truth, a file for each sequence.", show_default=False)],
    results: Annotated[Path, typer.Option(help="Folder of tracks, the same sequences.", show_default=False)],
    kind: Annotated[KittiFormat, typer.Option("--format", help="Of the files.", show_default=False)],
    classes: Annotated[str, typer.Option(help="Separated by commas.")] = "car,pedestrian",
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one record per class and sequence.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the measures by sequence.", show_default=False)
    ] = None,
) -> None:
    """Measures tracks against ground truth: HOTA, CLEAR and IDF1, in per cent; IDSW and Frag are counts.

    Exit codes: 0, or 2 for files that cannot be used.
    """
    # numpy, and matplotlib even more, are slow to import
    from roadmask.streaming.measures import measure_tracks
    from roadmask.streaming.results_json import write_results

    names = [name.strip().lower() for name in classes.split(",") if name.strip()]
    measured = measure_tracks(gt, results, kind, names)
    Console(highlight=False).print(_table(measured))
    if json is not None:
        write_results(json, [each.record() for each in measured])
    if plot is not None:
        from roadmask.streaming.measures.track_plot import plot_track_measures

        plot_track_measures(measured, plot)


def _table(measured: Sequence[TrackMeasures]) -> Table:
    from roadmask.streaming.measures import COMBINED

    table = Table("class", "sequence")
    for name in measured[0].values:
        table.add_column(name, justify="right", min_width=6)
    for each in measured:
        last = each.sequence == COMBINED
        table.add_row(
            each.class_name,
            each.sequence,
            *(str(value) if isinstance(value, int) else f"{value:.2f}" for value in each.values.values()),
            style="bold" if last else None,
            end_section=last,
        )
    return table
