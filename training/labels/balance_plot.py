"""Draws the balance of a label set: objects by class, size, hour and drive, for a report."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from roadmask.engines.errors import InputError
from roadmask.training.labels.balance import SIZES, Balance, ClassBalance

INK, FAINT, GRID = "#1f2a33", "#7b8792", "#eef1f3"
COLOURS = ("#2f6db3", "#e07a2f", "#3c9a5f", "#9a55a8", "#c04848", "#7a6a4f", "#4aa5b5", "#a3a02c")
_DRIVES = 8
"""Drives that are shown by name."""
_LINE = 118
"""Characters in a line of text."""


def plot_balance(found: Balance, path: Path, name: str) -> None:
    """Draws a balance into a PNG file.

    Args:
        found: the balance.
        path: the file.
        name: of the label set, for the title.

    Raises:
        InputError: the file cannot be written.
    """
    lines = [line for each in found.lacks for line in textwrap.wrap(each, _LINE, subsequent_indent="   ")]
    height = 7.7 + 0.24 * max(len(lines), 1)
    figure = Figure(figsize=(11, height), dpi=130, facecolor="white")
    figure.text(0.04, 1 - 0.45 / height, name, fontsize=19, weight="bold", color=INK)
    total = sum(each.sightings for each in found.classes)
    decided = sum(each.decided for each in found.classes)
    facts = [
        f"{sum(each.objects for each in found.classes):,} objects",
        f"{total:,} labels, {decided / max(total, 1):.0%} decided by a person",
        f"{found.images:,} images, {found.empty_images:,} of them without an object",
        f"version {found.version[:12]}",
    ]
    figure.text(0.04, 1 - 0.76 / height, "   ·   ".join(facts), fontsize=10, color=FAINT)
    grid = figure.add_gridspec(
        2, 2, left=0.09, right=0.97, top=1 - 1.35 / height, bottom=1 - 6.7 / height, hspace=0.5, wspace=0.22
    )
    shown = [each for each in found.classes if each.objects or each.crowds] or list(found.classes)
    colour_of = {each.class_name: COLOURS[n % len(COLOURS)] for n, each in enumerate(found.classes)}
    _draw_classes(figure.add_subplot(grid[0, 0]), list(found.classes), colour_of)
    sizes = {each.class_name: [each.by_size[size] for size in SIZES] for each in shown}
    areas = ("small\nbelow 32² px", "medium\nbelow 96² px", "large")
    _draw_bars(figure.add_subplot(grid[0, 1]), "objects by size", areas, sizes, colour_of)
    _draw_hours(figure.add_subplot(grid[1, 0]), shown, colour_of)
    _draw_drives(figure.add_subplot(grid[1, 1]), shown, colour_of)
    bottom, heading = 1 - 7.35 / height, "What is missing" if lines else "Nothing is missing"
    figure.text(0.04, bottom, heading, fontsize=11, weight="bold", color=INK)
    for n, line in enumerate(lines, 1):
        figure.text(0.04, bottom - 0.24 * n / height, line, fontsize=9.5, color=INK)
    try:
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(f"cannot write the image {path}: {error.strerror or error}.") from error


def _draw_classes(axes: Axes, classes: Sequence[ClassBalance], colour_of: Mapping[str, str]) -> None:
    """Objects as bars, and beside them how many labels they have."""
    _bare(axes, "objects of each class", "x")
    at = np.arange(len(classes))
    counts = [each.objects for each in classes]
    axes.barh(at, counts, color=[colour_of[each.class_name] for each in classes], height=0.62)
    axes.set_yticks(at, [each.class_name for each in classes], fontsize=10, color=INK)
    axes.invert_yaxis()
    top = max([1, *counts])
    axes.set_xlim(0, top * 1.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for n, each in enumerate(classes):
        per = f"{each.sightings:,} labels" + (f", {each.crowds} crowds" if each.crowds else "")
        end = each.objects + top * 0.02
        axes.text(end, n, f"{each.objects:,}", va="center", fontsize=10, color=INK, weight="bold")
        axes.text(end + top * (0.06 + 0.035 * len(str(each.objects))), n, per, va="center", fontsize=9, color=FAINT)


def _draw_bars(
    axes: Axes, title: str, names: Sequence[str], counts: Mapping[str, Sequence[int]], colour_of: Mapping[str, str]
) -> None:
    """Bars of each class side by side; the colours are those of the panel of classes."""
    _bare(axes, title, "y")
    width = 0.8 / max(len(counts), 1)
    at = np.arange(len(names))
    for n, (class_name, values) in enumerate(counts.items()):
        places = at - 0.4 + width * (n + 0.5)
        axes.bar(places, values, width=width * 0.92, color=colour_of[class_name])
        for place, value in zip(places.tolist(), values, strict=True):
            axes.text(place, value, f"{value:,}", ha="center", va="bottom", fontsize=8, color=FAINT)
    axes.set_xticks(at, list(names), fontsize=9, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.margins(y=0.12)


def _draw_hours(axes: Axes, classes: Sequence[ClassBalance], colour_of: Mapping[str, str]) -> None:
    _bare(axes, "objects by hour of the day", "y")
    hours = np.arange(24)
    below = np.zeros(24)
    for each in classes:
        counts = np.array([each.by_hour.get(hour, 0) for hour in range(24)], float)
        axes.bar(hours, counts, bottom=below, width=0.85, color=colour_of[each.class_name])
        below += counts
    axes.set_xlim(-0.6, 23.6)
    axes.set_xticks([0, 6, 12, 18, 23])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    unknown = sum(each.objects - sum(each.by_hour.values()) for each in classes)
    if not below.any():
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no recording states its time of day", transform=axes.transAxes, ha="center", color=FAINT)
    elif unknown:
        axes.set_title(f"{unknown:,} at an unknown hour", loc="right", fontsize=8.5, color=FAINT)


def _draw_drives(axes: Axes, classes: Sequence[ClassBalance], colour_of: Mapping[str, str]) -> None:
    _bare(axes, "objects of each drive", "x")
    totals: dict[str, int] = {}
    for each in classes:
        for drive, count in each.by_drive.items():
            totals[drive] = totals.get(drive, 0) + count
    drives = sorted(totals, key=lambda drive: (-totals[drive], drive))
    named, rest = drives[:_DRIVES], drives[_DRIVES:]
    labels = [textwrap.shorten(name, 18, placeholder="…") if " " in name else name[:18] for name in named]
    if rest:
        labels.append(f"{len(rest)} more")
    left = np.zeros(len(labels))
    for each in classes:
        counts = [each.by_drive.get(drive, 0) for drive in named]
        if rest:
            counts.append(sum(each.by_drive.get(drive, 0) for drive in rest))
        axes.barh(np.arange(len(labels)), counts, left=left, color=colour_of[each.class_name], height=0.62)
        left += counts
    axes.set_yticks(np.arange(len(labels)), labels, fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if not labels:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no objects", transform=axes.transAxes, ha="center", color=FAINT)


def _bare(axes: Axes, title: str, along: str) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d5dbe0")
    ticks: dict[str, Any] = {"colors": FAINT, "labelsize": 9, "length": 0}
    axes.tick_params(**ticks)
    axes.grid(axis=along, color=GRID, lw=1)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, pad=9)
