"""`roadmask view`: the page of a recorded store."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from roadmask.cli.page_options import PageTokenOption, PageUrlOption

_SEARCH_S = 1.0
"""Seconds that the search for images may take before the page is announced without its result."""


def view(
    drive: Annotated[Path, typer.Argument(help="A store, such as drive.zarr.", show_default=False)],
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]VIDEO",
            help="Recording that the images are read from. Without it, the recording is searched for by name and hash "
            "in the current folder and beside the store. Repeat for chapters.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve the page at this address. At addresses other than loopback, the page asks for the token that "
            "is printed. [dim]Default: 127.0.0.1:8642, or another port if that one is in use[/]",
            show_default=False,
        ),
    ] = None,
    page_token: PageTokenOption = None,
    page_url: PageUrlOption = None,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the page in a browser. [dim]Default: on a desktop[/]"),
    ] = None,
) -> None:
    """Shows a recorded store in the browser: its frames with their masks, and its tracks on a time line.

    Every frame and track has an address of its own. Where the recording is not found, masks are drawn on grey. Ctrl-C
    ends the page. Exit codes: 0 ended by Ctrl-C, 2 unusable arguments or no store, 4 the store cannot be read.

    [bold]roadmask view drive.zarr[/]

    [bold]roadmask view drive.zarr --source front=/media/card/front.mp4[/]
    """
    from roadmask.cli.stored_sources import sources_by_camera
    from roadmask.streaming.store import open_drive
    from roadmask.viewing import RecordedPage

    console = Console(stderr=True)
    opened = open_drive(drive)
    sources = sources_by_camera(source or [], None, list(opened))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    address = _free_address() if page is None else page
    with RecordedPage(opened, sources, address=address, token=page_token, public_url=page_url) as shown:
        for camera, state in shown.image_states(_SEARCH_S).items():
            console.print(f"[dim]camera {camera}: {escape(state.detail)}[/]", soft_wrap=True)
        console.print(f"look at [bold]{escape(shown.url)}[/] - Ctrl-C ends the page", soft_wrap=True)
        if open_page or (open_page is None and _is_desktop()):
            typer.launch(shown.url)
        while not ended.wait(1.0):  # in short steps: a signal interrupts no endless wait everywhere
            pass


def _free_address() -> str:
    """Returns the usual address, or one with any free port if a live run, or another store, is shown there."""
    from roadmask.engines.errors import PageError
    from roadmask.streaming.page import DEFAULT_ADDRESS, PageAddress

    usual = PageAddress.parse(DEFAULT_ADDRESS)
    try:
        for bound in usual.bind():
            bound.close()
    except PageError:
        return f"{usual.host}:0"
    return DEFAULT_ADDRESS


def _is_desktop() -> bool:
    """Whether somebody sits before this machine: a browser that opens elsewhere helps nobody."""
    return sys.stderr.isatty() and bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
