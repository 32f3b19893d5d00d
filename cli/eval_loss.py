"""`roadmask eval loss`: the mask AP that the default engine loses against torchvision, with confidence intervals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.console import Console
from rich.table import Table

from roadmask.cli.eval_segm import GroundTruth
from roadmask.cli.progress import image_bar
from roadmask.engines.classes import DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.segmenter import Precision

if TYPE_CHECKING:
    from roadmask.engines.networks.graph_settings import GraphSettings
    from roadmask.engines.segmenter import Segmenter
    from roadmask.evaluation import CocoTruth, Loss, Result

_ALL_PROPOSALS = 1000
"""torchvision's own number, before NMS on each level and after it."""
_SCORE_MIN = 0.05
_DEFAULT = " and ".join(DEFAULT_CLASSES)


@dataclass(frozen=True)
class _Comparison:
    question: str
    reference: str
    candidate: str
    losses: Sequence[Loss]


def loss(
    gt: GroundTruth,
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of its images.", show_default=False)],
    weights: Annotated[str, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict.")] = "lite",
    precision: Annotated[
        str,
        typer.Option(
            help="Precision of the default engine: auto, bf16, fp16, fp32 or int8; torchvision computes in fp32."
        ),
    ] = "auto",
    classes: Annotated[
        str | None,
        typer.Option(help=f"Classes to compare. [dim]Default: {_DEFAULT}, if the ground truth has masks of them[/]"),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="Number of bootstrap draws.")] = 2000,
    loss_max: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="Exit 1 if the default engine loses more.", show_default=False),
    ] = None,
    bound_max: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS", help="Exit 1 if the upper bound of its loss (97.5 %) is higher.", show_default=False
        ),
    ] = None,
    proposals_loss_max: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS", help="Exit 1 if the smaller number of proposals loses more.", show_default=False
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Compares the mask AP of the default engine with torchvision's, on the same letterboxed images.

    It answers two questions: what the default engine loses against torchvision in fp32 with the same number of
    proposals, and what that number of proposals loses against torchvision's 1000. Intervals are from a paired bootstrap
    over images. Limits are in points of AP (0 to 100) and apply to the mean over classes. Exit codes: 0, 1 if a limit
    is exceeded, or 2 if the input is unusable.
    """
    from roadmask.engines.networks.graph_settings import GraphSettings
    from roadmask.engines.networks.weights import find_weights
    from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
    from roadmask.engines.torch.segmenter import TorchSegmenter
    from roadmask.evaluation import common_classes, find_images, paired_loss, read_truth

    truth = read_truth(gt)
    find_images(truth, images)
    found = find_weights(weights)
    known = found.class_names
    names = common_classes(truth, known, _default_classes(truth) if classes is None else classes.split(","))
    ids = category_ids(names, known)
    chosen = GraphSettings.of(found.architecture)
    every = replace(chosen, proposals=_ALL_PROPOSALS, anchors_per_level=_ALL_PROPOSALS)

    def eager(settings: GraphSettings) -> Segmenter:
        return TorchSegmenter(found, ids, score_min=_SCORE_MIN, settings=settings)

    if precision not in get_args(Precision):
        raise ConfigError(f"expected --precision {', '.join(get_args(Precision))}, got {precision!r}.")
    arithmetic = cast("Precision", precision)
    default = OpenVinoSegmenter(found, ids, score_min=_SCORE_MIN, precision=arithmetic, settings=chosen)
    fast = f"{default.info.engine} {default.info.precision}, K = {chosen.proposals}"
    slow, slowest = f"torch fp32, K = {chosen.proposals}", f"torch fp32, K = {_ALL_PROPOSALS}"
    builders: dict[str, Callable[[], Segmenter]] = {
        fast: lambda: default,
        slow: lambda: eager(chosen),
        slowest: lambda: eager(every),
    }
    results = {name: _run(name, build(), truth, images) for name, build in builders.items()}
    comparisons = [
        _Comparison(question, a, b, paired_loss(truth, results[a], results[b], classes=names, draws=draws))
        for question, a, b in (("engine", slow, fast), ("proposals", slowest, slow))
    ]
    Console(highlight=False).print(_table(comparisons, f"Mask AP on {len(truth.images)} images of {gt}, in points"))
    if json is not None:
        _write(json, comparisons, gt, len(truth.images), draws)
    engine_loss, proposals_loss = (comparison.losses[-1] for comparison in comparisons)
    passed = [
        f"{what} {100 * value:.2f} > {limit:g} points"
        for what, value, limit in (
            ("loss of the engine", engine_loss.loss, loss_max),
            ("bound of the engine's loss", engine_loss.high, bound_max),
            ("loss of the proposals", proposals_loss.loss, proposals_loss_max),
        )
        if limit is not None and 100 * value > limit
    ]
    if passed:
        Console(stderr=True, highlight=False).print(f"[bold red]limit exceeded:[/] {'; '.join(passed)}")
        sys.exit(1)


def _default_classes(truth: CocoTruth) -> list[str]:
    names = [name for name in DEFAULT_CLASSES if name in truth.annotated_classes]
    if not names:
        raise InputError(
            f"expected masks of {_DEFAULT} in {truth.path}, which are compared by default, got masks of "
            f"{', '.join(truth.annotated_classes)}: choose from these with --classes."
        )
    return names


def _run(name: str, segmenter: Segmenter, truth: CocoTruth, images: Path) -> list[Result]:
    from roadmask.evaluation import segment_truth

    with image_bar(name, len(truth.images)) as advance:
        return segment_truth(segmenter, truth, images, advance)


def _table(comparisons: Sequence[_Comparison], title: str) -> Table:
    table = Table("reference", "candidate", "class", title=title, title_justify="left")
    for heading in ("AP", "AP", "loss", "95 % interval"):
        table.add_column(heading, justify="right")
    for comparison in comparisons:
        for row in comparison.losses:
            figures = (f"{100 * value:.2f}" for value in (row.reference_ap, row.candidate_ap, row.loss))
            interval = f"{100 * row.low:.2f} .. {100 * row.high:.2f}"
            table.add_row(comparison.reference, comparison.candidate, row.name, *figures, interval)
    return table


def _write(path: Path, comparisons: Sequence[_Comparison], gt: Path, images: int, draws: int) -> None:
    from roadmask.streaming.results_json import write_results

    write_results(
        path,
        [
            {
                "question": comparison.question,
                "reference": comparison.reference,
                "candidate": comparison.candidate,
                "class": row.name,
                "reference_AP": row.reference_ap,
                "candidate_AP": row.candidate_ap,
                "loss": row.loss,
                "loss_low": row.low,
                "loss_high": row.high,
                "gt": f"{gt.absolute().parent.name}/{gt.name}",
                "images": images,
                "draws": draws,
            }
            for comparison in comparisons
            for row in comparison.losses
        ],
    )
