"""Draws two runs on one image: the gain of the second by sequence, and the frames in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.comparison import FrameDifference
from roadmask.evaluation.tracks.track_measures import COMBINED, TrackMeasures

A, B = "#8a97a3", "#2374ab"


def plot_comparison(
    a: Sequence[TrackMeasures], b: Sequence[TrackMeasures], differences: Sequence[FrameDifference], png_path: Path
) -> None:
    """Draws both runs as a PNG.

    Args:
        a: measures of the first run.
        b: measures of the second run, in the same order.
        differences: the frames in which they differ, as `compare_runs` returns them.
        png_path: the image to write.

    Raises:
        InputError: the image cannot be written.
    """
    classes = list(dict.fromkeys(each.class_name for each in a))
    figure = Figure(figsize=(13, 4.2 * len(classes)), dpi=110, layout="constrained")
    panels = figure.subplots(len(classes), 2, squeeze=False)
    for (left, right), name in zip(panels, classes, strict=True):
        pairs = [(x, y) for x, y in zip(a, b, strict=True) if x.class_name == name]
        rows = np.arange(len(pairs))
        names = ["all" if x.sequence == COMBINED else x.sequence for x, _ in pairs]
        for row, (x, y) in zip(rows, pairs, strict=True):
            left.plot([x.values["HOTA"], y.values["HOTA"]], [row, row], color="#c9d1d9", lw=3, zorder=1)
        left.scatter([x.values["HOTA"] for x, _ in pairs], rows, color=A, s=34, label="A", zorder=2)
        left.scatter([y.values["HOTA"] for _, y in pairs], rows, color=B, s=34, label="B", zorder=3)
        left.set(yticks=rows, yticklabels=names, xlabel="HOTA, %", ylim=(len(rows) - 0.5, -0.5))
        left.set_title(f"{name}: HOTA of A and B", loc="left", fontsize=10)
        left.grid(alpha=0.3)
        left.legend(frameon=False, loc="lower left")
        own = [each for each in differences if each.class_name == name]
        places = {each: row for row, each in enumerate(names)}
        for better, colour, label in ((True, B, "B did better"), (False, A, "A did better")):
            chosen = [each for each in own if each.balance and (each.balance > 0) == better]
            right.scatter(
                [each.frame for each in chosen],
                [places[each.sequence] + (-0.15 if better else 0.15) for each in chosen],
                s=[6 + 6 * abs(each.balance) for each in chosen],
                color=colour,
                alpha=0.6,
                lw=0,
                label=label,
            )
        right.set(yticks=rows[:-1], yticklabels=names[:-1], xlabel="frame", ylim=(len(rows) - 1.5, -0.5))
        right.set_title(f"{name}: frames in which they differ, larger = more severe", loc="left", fontsize=10)
        right.grid(alpha=0.3)
        right.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, -0.09))
        for panel in (left, right):
            panel.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(png_path, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(
            f"cannot write the image {png_path}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error
