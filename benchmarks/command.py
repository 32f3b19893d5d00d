"""Runs an instrument as a program, with the error messages and exit codes of `roadmask`."""

from __future__ import annotations

from collections.abc import Callable

import typer

from roadmask.cli.program import run_program


def instrument_app(instrument: Callable[..., None]) -> typer.Typer:
    """Returns the program of one instrument.

    Args:
        instrument: a function whose parameters are typer's options and whose docstring is the help text.
    """
    app = typer.Typer(
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(instrument)
    return app


def run_instrument(app: typer.Typer) -> None:
    """Runs the program of an instrument on the arguments of this process."""
    run_program(app)
