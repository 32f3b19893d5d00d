"""The `roadmask` program: its commands and global options."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

import roadmask
from roadmask.cli.batch import batch
from roadmask.cli.bench import bench_app
from roadmask.cli.check import check
from roadmask.cli.compare import compare
from roadmask.cli.demo import demo
from roadmask.cli.doctor import doctor
from roadmask.cli.engine import engine_app
from roadmask.cli.eval_loss import loss as eval_loss
from roadmask.cli.eval_sample_drive import sample_drive as eval_sample_drive
from roadmask.cli.eval_segm import segm as eval_segm
from roadmask.cli.eval_tracks import tracks as eval_tracks
from roadmask.cli.export import export
from roadmask.cli.info import info
from roadmask.cli.live import live
from roadmask.cli.program import run_program
from roadmask.cli.run import run
from roadmask.cli.track import track
from roadmask.cli.train import train
from roadmask.cli.view import view
from roadmask.streaming.redaction import redact_record

app = typer.Typer(
    name="roadmask",
    help="Segment every pedestrian and car of a drive, track each one, and store the masks in Zarr.",
    epilog="Get started: roadmask demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(demo)
app.command()(live)
app.command()(batch)
app.command()(view)
app.command()(info)
app.command()(check)
app.command()(export)
app.command()(train)
app.command()(doctor)
app.add_typer(bench_app, name="bench")
app.add_typer(engine_app, name="engine")
app.command()(track)
app.command()(compare)

eval_app = typer.Typer(help="Evaluate results against ground truth.", no_args_is_help=True)
app.add_typer(eval_app, name="eval")
eval_app.command("segm")(eval_segm)
eval_app.command("loss")(eval_loss)
eval_app.command("tracks")(eval_tracks)
eval_app.command("sample-drive")(eval_sample_drive)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(roadmask.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - the callback acts on it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print debug messages.")] = False,
) -> None:
    on_screen = RichHandler(console=Console(stderr=True), show_path=verbose, show_time=verbose)
    on_screen.setLevel(logging.DEBUG if verbose else logging.INFO)
    on_screen.addFilter(redact_record)
    logger = logging.getLogger("roadmask")
    logger.handlers[:] = [on_screen]
    logger.setLevel(logging.DEBUG)  # for --log-json, which takes everything
    logger.propagate = False


def main() -> None:
    """Runs the program; errors that roadmask raises on purpose become a message and an exit code."""
    run_program(app)
