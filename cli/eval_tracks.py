"""`roadmask eval tracks`: measures tracks against ground truth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.errors import InputError
from roadmask.streaming.formats import TrackFormat

if TYPE_CHECKING:
    from roadmask.evaluation.tracks import SequenceData, TrackMeasures


def tracks(
    gt: Annotated[
        Path, typer.Option(help="Ground truth: a folder with a file for each sequence, or a drive.", show_default=False)
    ],
    results: Annotated[
        Path, typer.Option(help="Tracks: a folder with the same sequences, or a drive.", show_default=False)
    ],
    kind: Annotated[
        TrackFormat,
        typer.Option(
            "--format",
            help="Format of tracks and ground truth; the ground truth of a drive may also be kitti-mots.",
            show_default=False,
        ),
    ],
    classes: Annotated[str, typer.Option(help="Classes to measure, separated by commas.")] = "car,pedestrian",
    ceiling: Annotated[
        bool, typer.Option("--ceiling", help="Also measure the same detections with perfect linking.")
    ] = False,
    hota_min: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=HOTA", help="Exit 1 if the HOTA of a class is below this. Repeatable.", show_default=False
        ),
    ] = None,
    switches_max: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=COUNT", help="Exit 1 if a class has more identity switches. Repeatable.", show_default=False
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JSON record for each class and sequence.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the measures by sequence.", show_default=False)
    ] = None,
) -> None:
    """Measures tracks against ground truth: HOTA, CLEAR and IDF1 in per cent; IDSW and Frag are counts.

    A drive is measured by its masks, each camera as a sequence. Exit codes: 0 success, 1 a limit is missed, 2 unusable
    files or arguments.
    """
    # numpy, and matplotlib even more, are slow to import
    from roadmask.evaluation.tracks import COMBINED, measure_sequences, read_sequences
    from roadmask.streaming.results_json import write_results

    names = [name.strip().lower() for name in classes.split(",") if name.strip()]
    lowest = class_limits(hota_min, names, "--hota-min")
    highest = class_limits(switches_max, names, "--switches-max")
    data = read_sequences(gt, results, kind, names)
    measured = measure_sequences(data)
    console = Console(highlight=False)
    console.print(_table(measured))
    records = [each.record() for each in measured]
    if ceiling:
        by_gap = _ceilings(data)
        console.print(_ceiling_table(measured, by_gap))
        records += [{**each.record(), "ceiling_gap": gap} for gap, found in by_gap.items() for each in found]
    if json is not None:
        write_results(json, records)
    if plot is not None:
        from roadmask.evaluation.tracks.track_plot import plot_track_measures

        plot_track_measures(measured, plot)

    combined = {each.class_name: each.values for each in measured if each.sequence == COMBINED}
    missed = [
        f"{n}: HOTA {combined[n]['HOTA']:.2f} < {low:g}" for n, low in lowest.items() if combined[n]["HOTA"] < low
    ]
    missed += [
        f"{n}: {combined[n]['IDSW']:.0f} switches > {high:g}"
        for n, high in highest.items()
        if combined[n]["IDSW"] > high
    ]
    if missed:
        Console(stderr=True, highlight=False).print(f"[bold red]limit missed:[/] {'; '.join(missed)}")
        sys.exit(1)


def class_limits(given: Sequence[str] | None, classes: Sequence[str], option: str) -> dict[str, float]:
    """Returns the limit of each class that an option CLASS=NUMBER gives.

    Raises:
        InputError: a number is none, or a class is not measured.
    """
    limits = {}
    for text in given or ():
        name, _, value = text.partition("=")
        try:
            limits[name] = float(value)
        except ValueError as error:
            raise InputError(f"expected {option} as CLASS=NUMBER, such as car=8, got {text!r}.") from error
        if name not in classes:
            raise InputError(f"expected {option} for a class that is measured ({', '.join(classes)}), got {name!r}.")
    return limits


def _ceilings(data: Sequence[SequenceData]) -> dict[int, list[TrackMeasures]]:
    from roadmask.evaluation.tracks import CEILING_GAPS, link_perfectly, measure_sequences

    return {gap: measure_sequences([link_perfectly(each, gap) for each in data]) for gap in CEILING_GAPS}


def _table(measured: Sequence[TrackMeasures]) -> Table:
    from roadmask.evaluation.tracks import COMBINED

    table = Table("class", "sequence")
    for name in measured[0].values:
        table.add_column(name, justify="right", min_width=6)
    for each in measured:
        last = each.sequence == COMBINED
        table.add_row(each.class_name, each.sequence, *_shown(each), style="bold" if last else None, end_section=last)
    return table


def _ceiling_table(measured: Sequence[TrackMeasures], by_gap: dict[int, list[TrackMeasures]]) -> Table:
    from roadmask.evaluation.tracks import COMBINED

    table = Table("class", "links over", title="All sequences, with perfect linking of the same detections")
    for name in measured[0].values:
        table.add_column(name, justify="right", min_width=6)
    for own in (each for each in measured if each.sequence == COMBINED):
        table.add_row(own.class_name, "as tracked", *_shown(own), style="bold")
        for gap, found in by_gap.items():
            [linked] = [e for e in found if e.sequence == COMBINED and e.class_name == own.class_name]
            table.add_row(own.class_name, f"{gap} frames", *_shown(linked), end_section=gap == max(by_gap))
    return table


def _shown(each: TrackMeasures) -> list[str]:
    return [str(value) if isinstance(value, int) else f"{value:.2f}" for value in each.values.values()]
