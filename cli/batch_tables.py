"""The plan and the outcome of a batch as tables that no width cuts: what may be long stands at the end of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

if TYPE_CHECKING:
    from roadmask.streaming.batch.batch import BatchPlan, BatchResult

_COLOURS = {
    "stored": "green",
    "finished": "green",
    "incomplete": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "broken": "red",
}
_INDENT = 4


def print_plan(console: Console, plan: BatchPlan) -> None:
    """Prints a line for each drive, below it its cameras with their files, or why it cannot be read."""
    rows = []
    for drive in plan.drives:
        height, width = drive.image_size
        frames = "?" if drive.frames is None else str(drive.frames)
        rows.append([drive.state, frames, f"{width} x {height}" if width else "-", drive.task.drive.name])
    lines = _aligned([["state", "frames", "size", "drive"], *rows])
    console.print(Text("Plan", "italic"))
    console.print(Text(lines[0], "bold"), soft_wrap=True)
    for drive, line in zip(plan.drives, lines[1:], strict=True):
        _print_row(console, line, drive.state)
        cameras = drive.task.drive.cameras
        longest = max(map(len, cameras))
        for camera, paths in cameras.items():
            _print_detail(console, f"{camera:{longest}}  {_files(paths)}")
        if drive.problem:
            _print_detail(console, drive.problem)
    print_left_out(console, plan.left_out)


def print_left_out(console: Console, left_out: Mapping[Path, str]) -> None:
    """Prints what is not recorded, and why."""
    if left_out:
        console.print(Text(f"Left out: {len(left_out)}", "yellow"))
    for path, reason in left_out.items():
        _print_detail(console, f"{path}: {reason}")


def print_result(console: Console, result: BatchResult) -> None:
    """Prints a line for each drive, below it its tracks, or what is wrong with it."""
    from roadmask.streaming.batch.report import length, size

    rows = [
        [
            outcome.status + (" earlier" if outcome.skipped else ""),
            str(outcome.frames),
            f"{outcome.frames / outcome.seconds:.1f}" if outcome.frames and outcome.seconds else "-",
            length(outcome.seconds) if outcome.seconds else "-",
            size(outcome.stored_bytes) if outcome.stored_bytes else "-",
            outcome.drive,
        ]
        for outcome in result.outcomes
    ]
    lines = _aligned([["status", "frames", "frames/s", "time", "size", "drive"], *rows])
    console.print(Text("Drives", "italic"))
    console.print(Text(lines[0], "bold"), soft_wrap=True)
    for outcome, line in zip(result.outcomes, lines[1:], strict=True):
        _print_row(console, line, outcome.status)
        tracks = ", ".join(f"{count} {name}" for name, count in outcome.tracks.items())
        if outcome.reason or tracks:
            _print_detail(console, outcome.reason or tracks)
    print_left_out(console, result.left_out)
    good = sum(outcome.good for outcome in result.outcomes)
    console.print(f"{good} of {len(result.outcomes)} drives stored completely in {length(result.seconds)}")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligns cells, the first and the last one of a row to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *middle, last in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([f"{first:{widths[0]}}", *cells, last]))
    return lines


def _print_row(console: Console, line: str, state: str) -> None:
    text = Text(line)
    text.stylize(_COLOURS.get(state, "dim"), 0, len(state))
    console.print(text, soft_wrap=True)


def _print_detail(console: Console, text: str) -> None:
    if console.is_terminal:
        console.print(Padding(Text(text, overflow="fold"), (0, 0, 0, _INDENT)))
    else:  # one line for each, whatever its length
        console.print(Text(" " * _INDENT + text), soft_wrap=True)


def _files(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return paths[0].name
    return f"{paths[0].name} ... {paths[-1].name} ({len(paths)} files)"
