"""Options of commands that serve a page."""

from __future__ import annotations

from typing import Annotated

import typer

PageTokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="ROADMASK_PAGE_TOKEN",
        help="Token that browsers and programs must send: 16 to 256 letters, digits, - or _. Better set in the "
        "environment, where `ps` does not show it. [dim]Default: none at this machine's own addresses, otherwise "
        "generated at each start[/]",
    ),
]
PageUrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="ROADMASK_PAGE_URL",
        help="Address at which people open the page if a reverse proxy stands before it, such as "
        "https://example.org/cameras/. The page then always asks for its token. [dim]Default: no proxy[/]",
    ),
]
