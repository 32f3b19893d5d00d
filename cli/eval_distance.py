"""`roadmask eval distance`: measures distances against the 3D labels of KITTI tracking."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.engine_options import WeightsOption
from roadmask.cli.eval_tracks import class_limits
from roadmask.engines.errors import InputError

if TYPE_CHECKING:
    from roadmask.evaluation.distance.measures import DistanceMeasures

_GROUPS = ("chosen", "later", "all")
_WHOLE = 80.0 - 2.0


def distance(
    calibration: Annotated[
        Path, typer.Option(help="Calibration files of the same names, for instance KITTI's.", show_default=False)
    ],
    gt: Annotated[Path, typer.Option(help="Labels of KITTI tracking with 3D boxes.", show_default=False)],
    masks: Annotated[
        Path | None, typer.Option(help="Masks with ids: a folder of KITTI MOTS files.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Instead of masks: a folder for each sequence with images named after their frames, which the engine "
            "segments.",
            show_default=False,
        ),
    ] = None,
    weights: WeightsOption = None,
    camera_height: Annotated[float, typer.Option(metavar="METRES", help="Height of the camera over the road.")] = 1.65,
    camera_pitch: Annotated[
        float | None,
        typer.Option(
            metavar="DEGREES",
            help="Pitch of the camera, positive where it looks down. [dim]Default: not known[/]",
            show_default=False,
        ),
    ] = None,
    chosen_up_to: Annotated[
        str,
        typer.Option(metavar="SEQUENCE", help="Last sequence on which constants were chosen."),
    ] = "0011",
    median_max: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=PERCENT",
            help="Exit 1 if the median error of the visible objects of a class, over all sequences, is above this. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write a JSON record for each group.", show_default=False),
    ] = None,
) -> None:
    """Measures distances against labels: errors in per cent of the true distance, at 2 to 80 m.

    The naive columns put the lower edge of the box on a road below a camera without pitch. Exit codes: 0 success, 1 a
    limit is missed, 2 unusable files or arguments.
    """
    import math

    from roadmask.engines.load import load_segmenter
    from roadmask.evaluation.distance.measures import CLASSES, measure_groups
    from roadmask.evaluation.distance.measuring import kitti_camera, kitti_sequences, measure_frames, read_frames
    from roadmask.evaluation.distance.truth import read_truth
    from roadmask.streaming.results_json import describe_machine, write_results

    limits = class_limits(median_max, tuple(CLASSES), "--median-max")
    pitch = None if camera_pitch is None else math.radians(camera_pitch)
    if (masks is None) == (images is None):
        raise InputError("expected either --masks or --images, got both or neither.")
    by_sequence, spent, frames = {}, 0.0, 0
    segmenter = None if images is None else load_segmenter(weights or "lite")
    for name, found, calibration_file, label_file in kitti_sequences(masks or images or Path(), calibration, gt):
        camera = kitti_camera(calibration_file, camera_height, pitch)
        run = measure_frames(*read_frames(found, segmenter), camera, read_truth(label_file))
        by_sequence[name] = run.pairs
        spent, frames = spent + run.seconds, frames + run.frames
    measured = measure_groups(by_sequence, chosen_up_to)
    if not measured:
        raise InputError("expected labelled objects among the masks, found none: check that frames agree.")
    console = Console(highlight=False)
    console.print(
        _table([each for each in measured if each.sequences in _GROUPS and each.farthest - each.nearest == _WHOLE])
    )
    milliseconds = spent / max(frames, 1) * 1000
    console.print(
        f"{milliseconds:.2f} ms of processor time a frame, {frames} frames, {describe_machine()['processor']}"
    )
    if json is not None:
        write_results(json, [{**each.record(), "processor_ms": round(milliseconds, 3)} for each in measured])
    whole = {each.class_name: each.median_percent for each in measured if each.sequences == "all" and _is_whole(each)}
    missed = [
        f"{name}: median error {whole.get(name)} % > {limit:g} %"
        for name, limit in limits.items()
        if not (whole.get(name) or math.inf) <= limit
    ]
    if missed:
        Console(stderr=True, highlight=False).print(f"[bold red]limit missed:[/] {'; '.join(missed)}")
        sys.exit(1)


def _is_whole(measured: DistanceMeasures) -> bool:
    """Says whether all visible objects of a class were measured."""
    return measured.visible and measured.farthest - measured.nearest == _WHOLE


def _table(measured: list[DistanceMeasures]) -> Table:
    table = Table("sequences", "class", "objects")
    for name in ("count", "known", "median", "p90", "in sigma", "naive", "naive p90"):
        table.add_column(name, justify="right", min_width=5)
    for each in measured:
        values = (
            each.known_percent,
            each.median_percent,
            each.p90_percent,
            each.within_sigma_percent,
            each.naive_median_percent,
            each.naive_p90_percent,
        )
        table.add_row(
            each.sequences,
            each.class_name,
            "visible" if each.visible else "all",
            str(each.instances),
            *("" if value is None else f"{value:.1f}" for value in values),
            style="bold" if _is_whole(each) else None,
        )
    return table
