"""`python -m benchmarks.install_size`: size of the wheel, and of what an installation adds to site-packages."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.command import instrument_app, run_instrument
from benchmarks.install_size.measuring import build_wheel, installed_bytes, required_packages
from roadmask.cli.records import JsonOption, require_limits, show_records
from roadmask.streaming.results_json import write_results

_SHOWN = 8
"""Number of packages that are shown by name, the largest ones."""


def install_size(
    extra: Annotated[
        list[str] | None, typer.Option(help="Extra of roadmask. Repeat for several.", show_default="the core alone")
    ] = None,
    installed_max: Annotated[
        float | None, typer.Option(help="Exit 1 if the packages take more MB.", show_default=False)
    ] = None,
    wheel_max: Annotated[
        float | None, typer.Option(help="Exit 1 if the wheel takes more MB.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Sums the sizes of roadmask's wheel and of all packages that it requires, from the RECORD of each."""
    console = Console(highlight=False)
    with TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder)).stat().st_size
    sizes = {name: installed_bytes(name) for name in required_packages(tuple(extra or ()))}
    largest = sorted(sizes, key=lambda name: -sizes[name])
    named = {name: round(sizes[name] / 1e6, 1) for name in largest[:_SHOWN]}
    others = sum(sizes[name] for name in largest[_SHOWN:])
    # What is installed of roadmask is the wheel, which hardly compresses: most of it is weights.
    installed = round((wheel + sum(sizes.values())) / 1e6, 1)
    record: dict[str, str | float] = {
        "extras": " ".join(extra or ()) or "none",
        "packages": len(sizes),
        "wheel_mb": round(wheel / 1e6, 1),
        "installed_mb": installed,
        **named,
        "others": round(others / 1e6, 1),
    }
    show_records(console, "Size of an installation, in MB", [record])
    if json is not None:
        write_results(json, [record])
    require_limits(
        console,
        [record],
        [("installed_mb", installed_max, True), ("wheel_mb", wheel_max, True)],
        name="extras: {extras}",
    )


app = instrument_app(install_size)

if __name__ == "__main__":
    run_instrument(app)
