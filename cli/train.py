"""`roadmask train`: labelled images in, weights out."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from roadmask.cli.progress import image_bar, interruptible

if TYPE_CHECKING:
    from roadmask.training.train import TrainedWeights
    from roadmask.training.trainer import TrainingProgress


def train(
    labels: Annotated[
        list[Path],
        typer.Argument(
            metavar="LABELS...",
            help="Training sets: folders with instances.json (COCO) and images/.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the run: weights, checkpoints, metrics and plots.")
    ] = Path("training-run"),
    architecture: Annotated[str, typer.Option(help="lite, lite2, resnet50 or resnet50_v2.")] = "lite",
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WEIGHTS",
            help="Weights to start from; lite2 starts from lite, too. [dim]Default: those of the architecture[/]",
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Time to train. [dim]Default: 60[/]")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to train, instead of --minutes.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=256, help="Images in a step.")] = 4,
    input_size: Annotated[str, typer.Option(metavar="HxW", help="Size of the crops that are learnt from.")] = "320x448",
    rate: Annotated[float, typer.Option(help="Highest learning rate, for a batch of 4.")] = 0.01,
    fresh_heads: Annotated[
        bool, typer.Option("--fresh-heads", help="Keep the body alone, and start everything else from random numbers.")
    ] = False,
    paste: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the crops that get objects of other images pasted in.")
    ] = 0.3,
    validation: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of the images that validate, split by drive.")
    ] = 0.1,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many validations without a better mask AP; 0: never.")
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is left to chance.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 (GPU) or auto.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads on a CPU. [dim]Default: one for each physical core[/]")
    ] = None,
    leave_out_evaluation: Annotated[
        bool,
        typer.Option(
            "--leave-out-evaluation", help="Leave out images of evaluation sets, and their drives, instead of refusing."
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out at its newest checkpoint.")
    ] = False,
) -> None:
    """Trains weights on labelled images.

    The best averaged weights, judged by mask AP on images of other drives, end up in DIR/weights.safetensors, which
    `roadmask run --weights`, `eval` and `engine build` take. A run that is killed and resumed ends with the same
    weights. Images of the evaluation sets are refused. Needs torch, torchvision and matplotlib.

    [bold]roadmask train labels/ --minutes 30 --out night-run[/]

    Exit codes: 0, 2 for unusable input, 4 if the disk is full, 130 if interrupted.
    """
    from roadmask.engines.errors import ConfigError
    from roadmask.engines.extras import missing_package, require_plots
    from roadmask.engines.files import folder_made
    from roadmask.engines.letterbox import parse_input_size
    from roadmask.engines.networks.weights import Architecture, find_weights

    try:
        from roadmask.training.settings import TrainingSettings
        from roadmask.training.train import train_weights
    except ImportError as error:
        raise missing_package(error.name or "torch", "training", extra="torch") from error
    require_plots()

    try:
        wanted = Architecture(architecture)
    except ValueError:
        names = ", ".join(each.value for each in Architecture)
        raise ConfigError(f"expected --architecture to be one of {names}, got {architecture!r}.") from None
    weights = find_weights(start or architecture)
    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise ConfigError(f"expected --precision auto, fp32, bf16 or fp16, got {precision!r}.")
    if minutes is None and steps is None:
        minutes = 60.0
    settings = TrainingSettings(
        steps=steps,
        minutes=minutes,
        batch=batch,
        input_size=parse_input_size(input_size),
        rate=rate,
        fresh_heads=fresh_heads,
        paste=paste,
        validation_share=validation,
        patience=patience,
        seed=seed,
        precision=precision,  # type: ignore[arg-type]
        threads=threads,
    )
    console = Console(highlight=False)
    with folder_made(out), interruptible(console) as stop, _bar(console, settings.minutes) as on_progress:
        trained = train_weights(
            labels,
            weights,
            settings,
            out,
            architecture=wanted,
            device=device,
            resume=resume,
            leave_out_evaluation=leave_out_evaluation,
            # the weights are the same whether the run was resumed or not
            command=shlex.join(["roadmask", *(each for each in sys.argv[1:] if each != "--resume")]),
            on_look=_look,
            on_progress=on_progress,
            stop=stop.is_set,
        )
    _tell(console, trained, out)
    if not trained.result.finished:
        raise typer.Exit(130)


def _look(what: str, count: int) -> Callable[[], None]:
    bar = image_bar(what, count)
    advance = bar.__enter__()
    seen = 0

    def look() -> None:
        nonlocal seen
        seen += 1
        advance()
        if seen == count:
            bar.__exit__(None, None, None)

    return look


@contextmanager
def _bar(console: Console, minutes: float | None) -> Iterator[Callable[[TrainingProgress], None]]:
    """Draws a bar with the losses, AP and time left on a terminal; a line for each validation where there is none."""
    columns = (
        TextColumn("[bold]training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("training", total=None, told="measuring the speed" if minutes else "")
        best = [""]
        start = time.monotonic()

        def update(progress: TrainingProgress) -> None:
            if progress.ap is not None:
                best[0] = f"AP {progress.ap['all']:.3f}"
                if not console.is_terminal:
                    spent = time.monotonic() - start
                    console.print(
                        f"step {progress.step} of {progress.steps}, {spent:.0f} s: {_precisions(progress.ap)}"
                    )
            told = f"loss {sum(progress.losses.values()):.3f}  {best[0]}"
            bars.update(task, completed=progress.step, total=progress.steps, told=told)

        yield update


def _precisions(ap: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in ap.items())


def _tell(console: Console, trained: TrainedWeights, out: Path) -> None:
    result = trained.result
    if trained.left_out:
        console.print(f"Left out {trained.left_out} images of drives that belong to evaluation sets.")
    if not result.finished:
        console.print(f"Interrupted after {result.steps} steps; continue with --resume --out {out}.")
        return
    table = Table("", "", show_header=False, title="Trained", title_justify="left")
    table.add_row("images", f"{trained.training_images} learnt, {trained.validation_images} validated")
    table.add_row("steps", f"{result.steps}, best at {result.best_step}")
    if result.ap:
        table.add_row("mask AP", _precisions(result.ap))
    table.add_row("weights", str(trained.path))
    table.add_row("plots", f"{out / 'curves.png'}, {out / 'predictions.png'}")
    console.print(table)
    console.print(f"Try them: roadmask run my.mp4 --weights {trained.path} --out drive.zarr")
