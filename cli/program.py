"""How a program of roadmask ends: its errors become a message and an exit code."""

from __future__ import annotations

import codecs
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from roadmask.engines.errors import RoadmaskError
from roadmask.streaming.redaction import redact_text

_READABLE = "roadmask.readable"
_NEAREST = {
    **dict.fromkeys("\u2013\u2014\u2212\u2500\u2501\u2578\u257a", "-"),  # dashes, minus, lines of progress bars
    **dict.fromkeys("\u2022\u00b7\u25cf", "*"),  # bullets
    "\u2026": "~",
    "\u00d7": "x",
    "\u2192": ">",
}
"""What stands for a sign that the output cannot show."""


def run_program(program: Callable[[], object]) -> None:
    """Runs a typer program and turns the errors that roadmask raises on purpose into a message and an exit code.

    SIGTERM and SIGHUP end it as Ctrl-C does: with exit code 130, and everything closed.
    """
    _write_anything()
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


def _write_anything() -> None:
    """Lets the output show every name of a file, whatever its encoding: Python would end the program instead."""
    codecs.register_error(_READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=_READABLE)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Writes signs of typography as their nearest ASCII, so that tables keep their columns, and others as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_in_ascii, text)), error.end


def _in_ascii(sign: str) -> str:
    if sign in _NEAREST:
        return _NEAREST[sign]
    if "\u2800" <= sign <= "\u28ff":  # the frames of a spinner
        return "*"
    return sign.encode("ascii", "backslashreplace").decode()


def _print_error(message: str) -> None:
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
