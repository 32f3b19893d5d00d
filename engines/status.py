"""Which engines work on this machine, and what to install for the others; `roadmask doctor` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from roadmask.engines.extras import pip_command
from roadmask.engines.table import ENGINES


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine, or a part that it needs, works on this machine."""

    engine: str
    """Name of the engine or part."""
    works: bool
    """Whether it can be used here."""
    detail: str
    """Versions and arithmetic, or the reason why it does not work."""
    install: str
    """Command that installs what is missing; empty if nothing is."""


def engine_report() -> list[EngineStatus]:
    """Returns a row for each engine on the CPU and one for the export of new graphs, without loading any weights."""
    export = ("torch", "torchvision", "onnx", "onnxscript")
    return [*_rows(on_gpu=False), packages_status("export to openvino", export, "torch")]


def gpu_report() -> list[EngineStatus]:
    """Returns a row for each part that building, judging and running networks on an NVIDIA GPU takes."""
    return _rows(on_gpu=True)


def packages_status(name: str, packages: Sequence[str], extra: str | None) -> EngineStatus:
    """Returns the row of an engine that works where some packages are installed.

    Args:
        name: of the engine.
        packages: distributions that it needs.
        extra: extra of roadmask that installs them; None for roadmask itself.
    """
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return EngineStatus(name, False, f"{package} is not installed", pip_command(extra))
    return EngineStatus(name, True, ", ".join(found) or "needs no other package", "")


def _rows(*, on_gpu: bool) -> list[EngineStatus]:
    rows: list[EngineStatus] = []
    for row in ENGINES.values():
        if row.runs_on_gpu != on_gpu:
            continue
        if row.status is None:
            rows.append(packages_status(row.name, row.packages, row.extra))
        else:
            rows += import_module(row.status).engine_status()
    return rows
