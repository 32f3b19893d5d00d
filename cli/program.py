"""How a program of roadmask ends: its errors become a message and an exit code."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.redaction import redact_text


def run_program(program: Callable[[], object]) -> None:
    """Runs a typer program and turns the errors that roadmask raises on purpose into a message and an exit code.

    SIGTERM and SIGHUP end it as Ctrl-C does: with exit code 130, and everything closed.
    """
    try:
        with _signals_as_ctrl_c():
            program()
    except RoadmaskError as error:
        _print_error(redact_text(str(error)))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:  # a package or one of its shared libraries is missing
        _print_error(f"{error}: `roadmask doctor` says what to install.")
        sys.exit(2)


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` makes a program ignore hang-ups
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_error(message: str) -> None:
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
