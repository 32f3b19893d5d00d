"""A drive on one image: when each track was seen, how much was going on, where, and where the frames went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.extras import require_plots
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.drive_reader import open_drive
from roadmask.streaming.store.summary import CameraSummary, DriveSummary, frame_seconds, summarize_drive

require_plots()
from matplotlib.axes import Axes  # noqa: E402 - only once it is known to be there
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.gridspec import SubplotSpec  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

INK, FAINT, PAPER = "#22303c", "#8a97a3", "#ffffff"
CLASS_COLOURS = {PEDESTRIAN: "#e4572e", CAR: "#2374ab"}
OTHER_COLOURS = ("#5b8c5a", "#8e6c8a", "#c9a227", "#17becf", "#7f5539", "#b5179e")
STATE_COLOURS = {"stored": "#4c956c", "dropped": "#f2b134", "failed": "#c1121f"}

WIDTH_IN, HEADER_IN, CAMERA_IN = 14.0, 1.25, 4.9
DPI = 110
HEAT_COLUMNS, HEAT_FRAMES = 240, 150
"""The map of where things were seen: its width in cells, and of how many frames it is made at most."""
TIME_BINS, SIZE_BINS = 400, 36


def plot_summary(path: Path | str, png_path: Path | str) -> None:
    """Draws a stored drive as a PNG, a row for each camera.

    Args:
        path: a store.
        png_path: the image to write.

    Raises:
        StoreError: there is no store, or it cannot be read.
        InputError: the image cannot be written.
    """
    summary, drive = summarize_drive(path), open_drive(path)
    rows = max(len(summary.cameras), 1)
    height = HEADER_IN + rows * CAMERA_IN
    figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, facecolor=PAPER)
    grid = figure.add_gridspec(
        rows,
        1,
        top=1 - HEADER_IN / height,
        bottom=0.55 / height,
        left=0.045,
        right=0.985,
        hspace=0.26,
    )
    colours = _class_colours(summary)
    _draw_header(figure, summary, colours, height)
    for row, camera in enumerate(summary.cameras):
        _draw_camera(figure, grid[row], camera, drive[camera.name], colours)
    if not summary.cameras:
        figure.text(0.5, 0.4, "no cameras", ha="center", color=FAINT, fontsize=16)
    try:
        figure.savefig(png_path, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(f"cannot write the image {png_path}: {error.strerror or error}.") from error


def _class_colours(summary: DriveSummary) -> dict[int, str]:
    category_ids = sorted({each.category_id for camera in summary.cameras for each in camera.classes})
    others = [category_id for category_id in category_ids if category_id not in CLASS_COLOURS]
    return CLASS_COLOURS | {category_id: OTHER_COLOURS[n % len(OTHER_COLOURS)] for n, category_id in enumerate(others)}


def _draw_header(figure: Figure, summary: DriveSummary, colours: dict[int, str], height: float) -> None:
    figure.text(0.022, 1 - 0.45 / height, summary.path.resolve().name, fontsize=21, weight="bold", color=INK)
    facts = [
        _count(len(summary.cameras), "camera"),
        _count(summary.frames, "frame"),
        _duration(summary.seconds),
        _size(summary.stored_bytes),
    ]
    if summary.stored_bytes < summary.raw_id_map_bytes:
        facts[-1] += f" ({_share(summary.stored_bytes / summary.raw_id_map_bytes)} of the raw id maps)"
    figure.text(0.022, 1 - 0.78 / height, "   ·   ".join(facts), fontsize=11.5, color=FAINT)
    x = 0.983
    totals: dict[int, tuple[str, int]] = {}
    for camera in summary.cameras:
        for each in camera.classes:
            if each.tracks:
                totals[each.category_id] = (each.class_name, totals.get(each.category_id, ("", 0))[1] + each.tracks)
    for category_id, (name, tracks) in sorted(totals.items(), reverse=True):
        text = figure.text(
            x, 1 - 0.47 / height, f"{name} {tracks:,}", fontsize=14, color=colours[category_id], ha="right"
        )
        text.set_fontweight("bold")
        x -= 0.022 + 0.0078 * len(text.get_text())
    if totals:
        figure.text(0.983, 1 - 0.78 / height, "tracks by class", fontsize=10, color=FAINT, ha="right")


def _draw_camera(
    figure: Figure, place: SubplotSpec, summary: CameraSummary, camera: CameraReader, colours: dict[int, str]
) -> None:
    columns = place.subgridspec(1, 2, width_ratios=(2.1, 1), wspace=0.08)
    left = columns[0].subgridspec(2, 1, height_ratios=(2.3, 1), hspace=0.09)
    height, width = max(camera.epochs, key=len).info.image_size if camera.epochs else (9, 16)
    right = columns[1].subgridspec(3, 1, height_ratios=(4.3 * min(height / width, 0.6), 1.15, 0.6), hspace=0.42)
    lives = figure.add_subplot(left[0])
    counts = figure.add_subplot(left[1], sharex=lives)
    seconds, step = frame_seconds(camera)
    step = step or 1.0  # a camera of a single frame
    length = float(seconds[-1]) + step if len(seconds) else 1.0
    _draw_lives(lives, summary, length, colours)
    _draw_counts(counts, camera, summary, seconds, step, colours)
    _draw_epochs((lives, counts), camera, seconds)
    counts.set_xlim(0, length)
    _draw_places(figure.add_subplot(right[0]), camera, summary, colours)
    _draw_sizes(figure.add_subplot(right[1]), camera, summary, colours)
    _draw_ledger(figure.add_subplot(right[2]), summary)


def _draw_lives(axes: Axes, summary: CameraSummary, length: float, colours: dict[int, str]) -> None:
    """A line for each track, by first appearance; the faint part is where it was out of sight."""
    _bare(axes)
    width = float(np.clip(150 / max(len(summary.tracks), 1), 0.7, 10))
    for row, life in enumerate(summary.tracks):
        colour = colours[life.category_id]
        axes.plot([life.spans_s[0][0], life.spans_s[-1][1]], [row, row], color=colour, alpha=0.25, lw=width * 0.35)
    visible = length / 500
    spans = [
        (start, max(end, start + visible), row)
        for row, life in enumerate(summary.tracks)
        for start, end in life.spans_s
    ]
    of_span = [colours[life.category_id] for life in summary.tracks for _ in life.spans_s]
    lines = LineCollection([[(a, row), (b, row)] for a, b, row in spans], colors=of_span, lw=width, capstyle="butt")
    axes.add_collection(lines)
    axes.set_ylim(len(summary.tracks) - 0.2, -0.8)
    axes.tick_params(labelbottom=False)
    axes.set_yticks([])
    axes.set_ylabel("tracks", color=FAINT, fontsize=9)
    unfinished = "" if summary.complete else "   (not closed: killed, or still running)"
    axes.set_title(f"{summary.name}{unfinished}", loc="left", fontsize=14, weight="bold", color=INK)
    sizes = dict.fromkeys(epoch.image_size for epoch in summary.epochs if epoch.frames)
    size = " and ".join(f"{width} x {height}" for height, width in sizes)
    facts = [_count(len(summary.tracks), "track"), _count(summary.frames, "frame"), _duration(summary.seconds), size]
    axes.set_title("   ".join(facts), loc="right", fontsize=10, color=FAINT)
    if not summary.tracks:
        axes.text(0.5, 0.5, "nothing was seen", transform=axes.transAxes, ha="center", color=FAINT, fontsize=12)


def _draw_counts(
    axes: Axes,
    camera: CameraReader,
    summary: CameraSummary,
    seconds: NDArray[np.float64],
    step: float,
    colours: dict[int, str],
) -> None:
    """How many instances of each class are in sight, one class on top of the other."""
    _bare(axes)
    axes.set_xlabel("seconds", color=FAINT, fontsize=9)
    axes.set_ylabel("in sight", color=FAINT, fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    category_ids = sorted({life.category_id for life in summary.tracks})
    if not category_ids:
        axes.set_ylim(0, 1)
        return
    bins = min(len(seconds), TIME_BINS)
    of_frame = np.arange(len(seconds)) * bins // len(seconds)
    frames = np.bincount(of_frame, minlength=bins)
    positions = camera.track_positions()
    counts = []
    for category_id in category_ids:
        seen = np.concatenate([positions[life.track_id] for life in summary.tracks if life.category_id == category_id])
        counts.append(np.bincount(of_frame[seen], minlength=bins) / frames)
    edges = np.append(seconds[np.searchsorted(of_frame, np.arange(bins))], seconds[-1] + step)
    counts = [np.append(count, count[-1]) for count in counts]
    axes.stackplot(
        edges, counts, colors=[colours[category_id] for category_id in category_ids], step="post", lw=0, alpha=0.85
    )
    axes.set_ylim(0, None)


def _draw_epochs(panels: tuple[Axes, ...], camera: CameraReader, seconds: NDArray[np.float64]) -> None:
    edges = np.cumsum([len(epoch) for epoch in camera.epochs])[:-1]
    for edge in edges:
        if 0 < edge < len(seconds):
            for axes in panels:
                axes.axvline(seconds[edge], color=FAINT, lw=1, ls=":")


def _draw_places(axes: Axes, camera: CameraReader, summary: CameraSummary, colours: dict[int, str]) -> None:
    """Where things were seen: the stronger the colour, the more often a mask covered the place."""
    shares = _places(camera, {life.track_id: life.category_id for life in summary.tracks})
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#d5dbe0")
    axes.set_title("where they were seen", loc="left", fontsize=10, color=FAINT)
    if shares is None:
        axes.set_facecolor("#f6f8f9")
        axes.text(0.5, 0.5, "nothing was seen", transform=axes.transAxes, ha="center", color=FAINT, fontsize=12)
        return
    canvas = np.full((*next(iter(shares.values())).shape, 3), to_rgb("#f6f8f9"))
    for category_id, share in sorted(shares.items(), reverse=True):
        strength = np.sqrt(share / share.max())[..., None] * 0.92  # the root shows what was there only once, too
        canvas = canvas * (1 - strength) + np.array(to_rgb(colours[category_id])) * strength
    axes.imshow(canvas, interpolation="bilinear", aspect="equal")
    axes.set_anchor("NW")


def _places(camera: CameraReader, category_of: dict[int, int]) -> dict[int, NDArray[np.float64]] | None:
    """Returns for each class how often it covered each cell of the image, from evenly spread frames."""
    if not category_of or not len(camera):
        return None
    ids = np.array(sorted(category_of))
    category_ids = np.array([category_of[track_id] for track_id in ids.tolist()])
    height, width = max(camera.epochs, key=len).info.image_size
    rows = max(HEAT_COLUMNS * height // width, 1)
    seen = {category_id: np.zeros((rows, HEAT_COLUMNS)) for category_id in dict.fromkeys(category_ids.tolist())}
    for position in np.unique(np.linspace(0, len(camera) - 1, HEAT_FRAMES).astype(int)):
        image = camera.id_map(int(position))
        y = (np.arange(rows) + 0.5) * image.shape[0] / rows
        x = (np.arange(HEAT_COLUMNS) + 0.5) * image.shape[1] / HEAT_COLUMNS
        cells = image[np.ix_(y.astype(int), x.astype(int))]
        of_cell = category_ids[np.searchsorted(ids, cells).clip(max=len(ids) - 1)]
        for category_id in seen:
            seen[category_id] += (cells > 0) & (of_cell == category_id)
    return {category_id: count for category_id, count in seen.items() if count.any()} or None


def _draw_sizes(axes: Axes, camera: CameraReader, summary: CameraSummary, colours: dict[int, str]) -> None:
    """How large the masks are: the side of a square of the same area."""
    _bare(axes)
    axes.set_yticks([])
    axes.set_title("mask size, square root of pixels", loc="left", fontsize=10, color=FAINT)
    sides = np.sqrt(np.concatenate([np.zeros(0), *(epoch.area for epoch in camera.epochs)]))
    category_ids = np.concatenate([np.zeros(0, np.int64), *(epoch.category_id for epoch in camera.epochs)])
    if not len(sides):
        axes.set_xticks([])
        return
    bins = np.linspace(0, max(float(np.quantile(sides, 0.995)), 1.0), SIZE_BINS + 1)
    shown = [each.category_id for each in summary.classes]
    axes.hist(
        [sides[category_ids == category_id] for category_id in shown],
        bins=bins.tolist(),
        stacked=True,
        color=[colours[category_id] for category_id in shown],
        alpha=0.85,
    )
    axes.set_xlim(0, bins[-1])


def _draw_ledger(axes: Axes, summary: CameraSummary) -> None:
    """Where the captured frames went."""
    ledger = summary.ledger
    parts = [("stored", "", ledger.stored)]
    parts += [("dropped", f": {reason}", count) for reason, count in sorted(ledger.dropped.items())]
    parts += [("failed", f": {reason}", count) for reason, count in sorted(ledger.failed.items())]
    total = max(ledger.captured, ledger.accounted, 1)
    at = 0.0
    for state, _, count in parts:
        axes.add_patch(Rectangle((at, 0), count / total, 1, color=STATE_COLOURS[state], lw=0))
        at += count / total
    axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, ec="#d5dbe0", lw=1))
    axes.set_xlim(0, 1)
    axes.set_ylim(-1.6, 1)
    axes.axis("off")
    axes.text(1, -0.75, f"of {ledger.captured:,} captured", color=FAINT, fontsize=10, va="center", ha="right")
    x = 0.0
    for state, reason, count in parts:
        text = f"{count:,} {state}{reason}"
        axes.text(x, -0.75, text, color=STATE_COLOURS[state], fontsize=10, va="center", weight="bold")
        x += 0.04 + 0.0195 * len(text)
    if ledger.captured != ledger.accounted:
        missing = f"{ledger.captured - ledger.accounted:,} unaccounted for"
        axes.text(x, -0.75, missing, color=STATE_COLOURS["failed"], fontsize=10, va="center", weight="bold")


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d5dbe0")
    ticks: dict[str, Any] = {"colors": FAINT, "labelsize": 9, "length": 3}
    axes.tick_params(**ticks)
    axes.grid(axis="x", color="#eef1f3", lw=1)
    axes.set_axisbelow(True)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _size(count: float) -> str:
    power = min(int(np.log10(max(count, 1)) // 3), 4)
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _share(share: float) -> str:
    return f"1/{round(1 / share):,}" if share < 0.1 else f"{share:.0%}"
