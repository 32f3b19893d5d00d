"""`roadmask doctor`: what works on this machine, and what to install."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import roadmask
from roadmask.engines.threads import default_threads

if TYPE_CHECKING:
    from roadmask.engines import EngineStatus

_LIBRARIES = (
    # distribution, module, needed, what it is for, what to install when it is missing
    ("numpy", "numpy", True, "arrays", "pip install roadmask"),
    ("opencv-python", "cv2", True, "images", "pip install roadmask; on Debian: apt install libgl1 libglib2.0-0"),
    ("av", "av", True, "reading and writing video", "pip install roadmask"),
    ("zarr", "zarr", True, "the store", "pip install roadmask"),
    ("pycocotools", "pycocotools.mask", True, "run lengths", "pip install roadmask"),
    ("lap", "lap", True, "assignment of instances to tracks", "pip install roadmask"),
    ("aiohttp", "aiohttp", True, "pages: roadmask view and live", "pip install roadmask"),
    ("matplotlib", "matplotlib", False, "plots", "pip install 'roadmask[plots]'"),
    ("ray", "ray", False, "several cameras in several processes", "pip install 'roadmask[ray]'"),
    ("trackeval", "trackeval", False, "measuring tracks", "pip install 'roadmask[eval]'"),
    ("pyarrow", "pyarrow", False, "exports to Parquet", "pip install 'roadmask[export]'"),
    ("rerun-sdk", "rerun", False, "exports to rerun", "pip install 'roadmask[export]'"),
    ("fsspec", "fsspec", False, "exports and batches to object stores", "pip install 'roadmask[export]'"),
)


@dataclass(frozen=True)
class _Library:
    name: str
    works: bool
    needed: bool
    detail: str
    install: str


def doctor() -> None:
    """Shows what is installed, which engines work here, why others do not, and what to install.

    Exit codes: 0 if `roadmask run` works here, or 2 if it does not.
    """
    console = Console()
    libraries = [_library(*library) for library in _LIBRARIES]
    console.print(f"[bold]roadmask {roadmask.__version__}[/] on {_machine()}", highlight=False)
    engines: list[EngineStatus] = []
    gpu: list[EngineStatus] = []
    writable = False
    try:
        from roadmask.engines.networks import cache
        from roadmask.engines.status import engine_report, gpu_report

        writable = _is_writable(cache.folder())
        state = "" if writable else ", [bold red]which is not writable[/]: set ROADMASK_CACHE to a writable folder"
        console.print(f"graphs are cached in {cache.folder()}{state}\n", highlight=False)
        engines, gpu = engine_report(), gpu_report()
    except ImportError as error:
        console.print(f"[yellow]engines cannot be checked until the libraries below work:[/] {escape(str(error))}\n")
    for title, rows in (("Engines", engines), ("For NVIDIA GPUs, see docs/how-to/gpu.md", gpu)):
        table = Table("engine", "", "found", "to install", title=title, title_justify="left")
        for row in rows:
            table.add_row(row.engine, _mark(row.works, needed=False), escape(row.detail), escape(row.install))
        console.print(table)
    table = Table("library", "", "found", "to install", title="Libraries", title_justify="left")
    for library in libraries:
        table.add_row(
            library.name, _mark(library.works, library.needed), escape(library.detail), escape(library.install)
        )
    console.print(table)

    broken = [library.name for library in libraries if library.needed and not library.works]
    if broken or not any(row.works for row in engines):
        console.print(f"[bold red]roadmask run does not work here:[/] {', '.join(broken) or 'no engine'}")
        sys.exit(2)
    if not writable:
        console.print("[yellow]roadmask run works here, but only with graphs that are already in the cache.[/]")
        return
    if not all(row.works for row in engines if row.engine.startswith("export")):
        console.print(
            "[green]roadmask run works here with lite.[/] Other weights, and input sizes that roadmask does not choose "
            "by itself, need the export: pip install 'roadmask\\[torch]'"
        )
        return
    console.print("[green]roadmask run works here.[/]")


def _library(distribution: str, module: str, needed: bool, purpose: str, install: str) -> _Library:
    try:
        found = version(distribution)
        import_module(module)
    except PackageNotFoundError:
        return _Library(distribution, False, needed, f"not installed; {purpose}", install)
    except (ImportError, OSError) as error:  # a shared library that the system lacks
        return _Library(distribution, False, needed, f"cannot be loaded: {error}", install)
    return _Library(distribution, True, needed, f"{found}; {purpose}", "")


def _is_writable(folder: Path) -> bool:
    existing = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def _mark(works: bool, needed: bool) -> str:
    if works:
        return "[green]works[/]"
    return "[bold red]missing[/]" if needed else "[yellow]no[/]"


def _home() -> Path:
    """Returns the home folder, or the working folder of a user who has none."""
    try:
        return next(place for place in (Path.home(), *Path.home().parents) if place.exists())
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return Path.cwd()


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    free = shutil.disk_usage(_home()).free / 1e9
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{default_threads()} cores, {memory:.0f} GiB memory, {free:.0f} GB disk free"
    )
