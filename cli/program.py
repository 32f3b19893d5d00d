"""How a program of roadmask ends: its errors become a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.redaction import redact_text


def run_program(program: Callable[[], object]) -> None:
    """Runs a typer program and turns the errors that roadmask raises on purpose into a message and an exit code."""
    try:
        program()
    except RoadmaskError as error:
        _print_error(redact_text(str(error)))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:  # a package or one of its shared libraries is missing
        _print_error(f"{error}: `roadmask doctor` says what to install.")
        sys.exit(2)


def _print_error(message: str) -> None:
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
