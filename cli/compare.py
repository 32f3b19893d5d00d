"""`roadmask compare`: compares two runs and lists the frames to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from roadmask.streaming.formats import TrackFormat

if TYPE_CHECKING:
    from roadmask.evaluation.tracks import TrackMeasures
    from roadmask.evaluation.tracks.comparison import FrameDifference


def compare(
    a: Annotated[Path, typer.Argument(help="Tracks of the first run: a folder or a drive.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Tracks of the second run: a folder or a drive.", show_default=False)],
    gt: Annotated[Path, typer.Option(help="Ground truth, as for `roadmask eval tracks`.", show_default=False)],
    kind: Annotated[TrackFormat, typer.Option("--format", help="Format of the tracks.", show_default=False)],
    classes: Annotated[str, typer.Option(help="Classes to compare, separated by commas.")] = "car,pedestrian",
    frames: Annotated[int, typer.Option(min=0, help="Maximum number of frames to list; --json writes all.")] = 15,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write measures and frames as JSON records.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw both runs by sequence and frame.", show_default=False)
    ] = None,
) -> None:
    """Compares two runs against ground truth: the gain of B over A, and the frames in which they differ.

    Frames are ranked by the faults of only one run: 5 for an identity switch, 2 for a fragment, 1 for a miss or a false
    positive. Exit codes: 0 success, 2 unusable files or arguments.
    """
    from roadmask.evaluation.tracks import measure_sequences, read_sequences
    from roadmask.evaluation.tracks.comparison import compare_runs
    from roadmask.streaming.results_json import write_results

    names = [name.strip().lower() for name in classes.split(",") if name.strip()]
    data_a, data_b = (read_sequences(gt, run, kind, names) for run in (a, b))
    measured_a, measured_b = measure_sequences(data_a), measure_sequences(data_b)
    differences = compare_runs(data_a, data_b)
    console = Console(highlight=False)
    console.print(f"[bold]A[/] {escape(str(a))}\n[bold]B[/] {escape(str(b))}")
    console.print(_measures_table(measured_a, measured_b))
    if not differences:
        console.print("Both runs have the same faults in every frame, apart from the values of ids.")
    elif frames:
        console.print(_frames_table(differences[:frames], len(differences)))
    if json is not None:
        records = [
            {**each.record(), "record": "measures", "run": run}
            for run, measured in (("a", measured_a), ("b", measured_b))
            for each in measured
        ]
        write_results(json, [*records, *({**each.record(), "record": "frame"} for each in differences)])
    if plot is not None:
        from roadmask.evaluation.tracks.comparison_plot import plot_comparison

        plot_comparison(measured_a, measured_b, differences, plot)


def _measures_table(a: Sequence[TrackMeasures], b: Sequence[TrackMeasures]) -> Table:
    from roadmask.evaluation.tracks import COMBINED, COUNTS

    table = Table("class", title="B, and its difference from A", title_justify="left")
    table.add_column("sequence", min_width=len(COMBINED))
    shown = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "Frag")
    for name in shown:
        table.add_column(name, justify="right")
    for own, other in zip(a, b, strict=True):
        cells = []
        for name in shown:
            value, gain = other.values[name], other.values[name] - own.values[name]
            digits = 0 if name in COUNTS else 2
            better = gain < 0 if name in COUNTS else gain > 0
            colour = "dim" if abs(gain) < 0.005 else "green" if better else "red"
            cells.append(f"{value:.{digits}f} [{colour}]{gain:+.{digits}f}[/]")
        last = own.sequence == COMBINED
        table.add_row(own.class_name, own.sequence, *cells, style="bold" if last else None, end_section=last)
    return table


def _frames_table(differences: Sequence[FrameDifference], total: int) -> Table:
    table = Table("sequence", "frame", "class", title="Frames that differ most", title_justify="left")
    for heading in ("faults of A alone", "faults of B alone"):
        table.add_column(heading, overflow="fold")
    for each in differences:
        table.add_row(
            each.sequence,
            str(each.frame),
            each.class_name,
            "\n".join(map(str, each.only_a)),
            "\n".join(map(str, each.only_b)),
        )
    table.caption = (
        f"{len(differences)} of {total} frames; misses and fragments show true ids, false positives those of the run"
    )
    table.caption_justify = "left"
    return table
