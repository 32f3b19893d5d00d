"""`roadmask live`: cameras that are running now."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from roadmask.cli.engine_options import (
    ClassesOption,
    EngineOption,
    InputSizeOption,
    PrecisionOption,
    ScoreMinOption,
    ThreadsOption,
    WeightsOption,
)
from roadmask.cli.page_options import PageTokenOption, PageUrlOption

if TYPE_CHECKING:
    from roadmask.streaming.live.run import LiveResult
    from roadmask.streaming.page import LivePage


def live(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE...",
            help="rtsp://, http:// (MJPEG or MPEG-TS), udp://, /dev/video0, or [bold]replay:clip.mp4[/], a file at its "
            "own pace.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Store to write; must not exist. [dim]Default: only watch[/]"),
    ] = None,
    page: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve the page at this address, or nowhere with [bold]none[/]. At addresses other than loopback, the "
            "page asks for the token that is printed.",
        ),
    ] = "127.0.0.1:8642",
    page_token: PageTokenOption = None,
    page_url: PageUrlOption = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Latency budget: maximum age of a frame when its masks are found, milliseconds. [dim]Default: three "
            "times the duration of a batch[/]",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="2h|50GB",
            help="Keep only the newest part of the store, by time or size. [dim]Default: everything[/]",
        ),
    ] = None,
    floor_mb: Annotated[
        float, typer.Option(min=0, help="Free disk in megabytes below which nothing is stored.")
    ] = 500.0,
    adapt: Annotated[
        bool,
        typer.Option(
            help="If the cameras send more than the engine can take, offer it fewer images, evenly spaced and equally "
            "many of each camera. Otherwise it gets the newest image whenever it is free."
        ),
    ] = True,
    busy_input_size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HxW",
            help="Smaller network input size to use while the engine cannot give each camera [bold]--busy-fps[/] "
            "images per second: less detail, more often. Repeat the option for still smaller sizes. "
            "[dim]Default: none, only the rate follows the load[/]",
        ),
    ] = None,
    busy_fps: Annotated[float, typer.Option(min=0.1, help="Images per second, see [bold]--busy-input-size[/].")] = 5.0,
    weights: WeightsOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    classes: ClassesOption = None,
    score_min: ScoreMinOption = None,
    input_size: InputSizeOption = None,
    threads: ThreadsOption = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]REGION",
            help="Drop instances that lie in a region: a mask image, white inside, or a polygon 'x,y x,y x,y'.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings; options given here override it.")
    ] = None,
    log_json: Annotated[Path | None, typer.Option(help="Also log to this file, one JSON object per line.")] = None,
) -> None:
    """Segments, tracks, shows and stores cameras that are running now; Ctrl-C ends the run and closes the store.

    The newest image wins: what the engine has no time for is dropped and counted. A camera that is lost is tried again
    for as long as the run lasts. Exit codes: 0 all cameras came to their end, 2 unusable arguments or no camera that
    can work, 3 some frames failed (the rest is stored), 4 the store failed or refused frames (what is committed is
    safe), 130 ended by Ctrl-C, SIGTERM or SIGHUP (the store is closed).

    [bold]roadmask live front=rtsp://camera.local/stream --out drive.zarr[/]

    [bold]roadmask live replay:front.mp4 replay:rear.mp4[/]
    """
    from importlib.util import find_spec

    from roadmask.cli.json_log import json_log
    from roadmask.cli.live_view import LiveView
    from roadmask.cli.progress import interruptible
    from roadmask.cli.run import run_settings
    from roadmask.cli.tables import ledger_table
    from roadmask.engines.errors import EngineError
    from roadmask.streaming.redaction import redact_command
    from roadmask.streaming.sources.live.address import parse_live_sources
    from roadmask.streaming.store import require_nothing

    if find_spec("ray") is None:
        raise EngineError("live cameras run on Ray, which is not installed: pip install 'roadmask[live]'.")
    from roadmask.streaming.live.retention import Retention
    from roadmask.streaming.live.run import run_live
    from roadmask.streaming.live.settings import LiveSettings

    console = Console(stderr=True)
    parse_live_sources(sources)
    settings = LiveSettings(
        run_settings(config, weights, engine, precision, classes, score_min, input_size, threads, ignore, None),
        budget_ms=budget_ms,
        floor_bytes=round(floor_mb * 1e6),
        retention=None if keep is None else Retention.parse(keep),
        adapt=adapt,
        busy_input_sizes=tuple(busy_input_size or ()),
        busy_fps=busy_fps,
        command=redact_command(sys.argv),
    )
    if out is not None:
        require_nothing(out)
    with ExitStack() as opened:
        opened.enter_context(json_log(log_json))
        at_once = threading.Event()
        stop = opened.enter_context(interruptible(console, at_once))
        shown = opened.enter_context(_page(page, page_token, page_url, console, open_page=open_page))
        console.print("[dim]starting the engine and the cameras[/]")
        view = opened.enter_context(LiveView(console))
        result = run_live(
            sources, out, settings=settings, on_report=view.report, page=shown, stop=stop, stop_at_once=at_once
        )
    console.print(ledger_table([(camera.camera, camera.ledger) for camera in result.cameras]))
    _print_ends(console, result)
    if out is not None and out.exists():  # it does not if the run ended before anything was captured
        typer.echo(out)
    sys.exit(result.exit_code)


@contextmanager
def _page(
    address: str, token: str | None, public_url: str | None, console: Console, *, open_page: bool
) -> Iterator[LivePage | None]:
    """Serves the page, unless it is not wanted; a port in use ends the program before anything begins."""
    if address == "none":
        yield None
        return
    from roadmask.streaming.page import LivePage, PageAddress

    with LivePage(PageAddress.parse(address), token=token, public_url=public_url) as page:
        console.print(f"watch at [bold]{escape(page.url)}[/]", soft_wrap=True)
        if open_page:
            typer.launch(page.url)
        yield page


def _print_ends(console: Console, result: LiveResult) -> None:
    for camera in result.cameras:
        if camera.problem is not None:
            console.print(f"[bold red]camera {camera.camera}:[/] {escape(str(camera.problem))}", soft_wrap=True)
        elif camera.detail:
            console.print(f"camera {camera.camera}: {escape(camera.detail)}", soft_wrap=True)
