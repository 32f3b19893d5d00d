"""`roadmask eval segm`: mask AP against a COCO ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.engine_options import ENGINES, PRECISIONS, ThreadsOption
from roadmask.cli.progress import image_bar
from roadmask.engines.errors import InputError

if TYPE_CHECKING:
    from roadmask.engines.segmenter import Precision
    from roadmask.engines.table import Engine
    from roadmask.evaluation import ClassPrecision, CocoTruth, Result

GroundTruth = Annotated[
    Path,
    typer.Option("--gt", metavar="JSON", help="Ground truth of instance masks as COCO JSON.", show_default=False),
]
Images = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the images of the ground truth.", show_default=False)
]
Classes = Annotated[
    str | None, typer.Option(help="Classes to score. [dim]Default: all that have masks in the ground truth[/]")
]


_SHOWN = ("truth", "found", "AP", "AP50", "AP75", "APs", "APm", "APl")


def segm(
    gt: GroundTruth,
    images: Images = None,
    weights: Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict.")] = "lite",
    engine: Annotated[str, typer.Option(help=ENGINES)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISIONS)] = "auto",
    score_min: Annotated[float, typer.Option(help="Drop instances below this score.")] = 0.05,
    classes: Classes = None,
    input_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Input size of the network. [dim]Default: from each image's aspect[/]"),
    ] = None,
    threads: ThreadsOption = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Score these COCO results; no engine runs and no image is read."),
    ] = None,
    save_results: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Also write the instances that were found as COCO results.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Scores masks against a ground truth: COCO's mask AP of each class, and the mean over classes.

    Figures are 0 to 1, as pycocotools returns them, or - if the ground truth has nothing to find. Object sizes are in
    pixels of the original images: small is under 32 x 32, large over 96 x 96. Exit codes: 0, or 2 for unusable input.

    [bold]roadmask eval segm --gt instances.json --images images --json ap.json[/]
    """
    # pycocotools and the engines are slow to import, and most commands need neither
    from roadmask.evaluation import evaluate_masks, read_results, read_truth, write_coco_results
    from roadmask.streaming.results_json import write_results

    truth = read_truth(gt)
    names = None if classes is None else classes.split(",")
    if results is not None:
        made_by: dict[str, str | float] = {"results": results.name}
        found, chosen = read_results(results, truth), None if names is None else tuple(map(_class_name, names))
    else:
        if images is None:
            raise InputError(
                "expected --images DIR to segment or --results FILE to score, got neither: give one of them."
            )
        found, chosen, made_by = _segment(
            truth,
            images,
            names,
            weights,
            engine,
            precision,
            score_min=score_min,
            input_size=input_size,
            threads=threads,
        )
    rows = evaluate_masks(truth, found, chosen)
    Console(highlight=False).print(precision_table(rows, f"Mask AP on {len(truth.images)} images of {gt}"))
    if save_results is not None:
        write_coco_results(save_results, found)
    if json is not None:
        origin = {"gt": f"{gt.absolute().parent.name}/{gt.name}", "images": len(truth.images), **made_by}
        write_results(json, [{**row.record(), **origin} for row in rows])


def _segment(
    truth: CocoTruth,
    images: Path,
    names: list[str] | None,
    weights: str,
    engine: str,
    precision: str,
    *,
    score_min: float,
    input_size: str | None,
    threads: int | None,
) -> tuple[list[Result], tuple[str, ...], dict[str, str | float]]:
    """Returns the results, the classes to score, and the fields of the records that describe the engine."""
    from roadmask.engines import load_segmenter
    from roadmask.engines.networks.weights import find_weights
    from roadmask.evaluation import common_classes, find_images, segment_truth

    find_images(truth, images)  # before the engine takes its time
    chosen = common_classes(truth, find_weights(weights).class_names, names)
    segmenter = load_segmenter(
        weights,
        engine=cast("Engine", engine),  # checked there, as the precision is
        precision=cast("Precision", precision),
        classes=chosen,
        score_min=score_min,
        input_size=input_size,
        threads=threads,
    )
    with image_bar(f"{weights} in {segmenter.info.engine} {segmenter.info.precision}", len(truth.images)) as advance:
        found = segment_truth(segmenter, truth, images, advance)
    info = segmenter.info
    made_by: dict[str, str | float] = {
        "weights": info.weights,
        "weights_sha256": info.weights_sha256,
        "engine": info.engine,
        "precision": info.precision,
        "score_min": info.score_min,
    }
    return found, chosen, made_by


def precision_table(rows: list[ClassPrecision], title: str) -> Table:
    """Returns the table of figures, one row per class."""
    table = Table("class", title=title, title_justify="left")
    for heading in _SHOWN:
        table.add_column(heading, justify="right")
    for row in rows:
        figures = row.record()
        cells = [figures[heading] for heading in _SHOWN]
        table.add_row(row.name, *("-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells))
    return table


def _class_name(name: str) -> str:
    return "pedestrian" if name.strip().lower() == "person" else name.strip()
