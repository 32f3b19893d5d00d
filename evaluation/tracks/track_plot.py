"""Draws the measures of tracks on one image: a panel for each class, a group of bars for each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.track_measures import COMBINED, TrackMeasures

SHOWN = {"HOTA": "#22303c", "DetA": "#8a97a3", "AssA": "#2374ab", "IDF1": "#e4572e"}
"""Measure -> colour."""


def plot_track_measures(measured: Sequence[TrackMeasures], png_path: Path) -> None:
    """Draws HOTA, DetA, AssA and IDF1 of every sequence, with the number of switches above, as a PNG.

    Args:
        measured: the measures, as `measure_tracks` returns them.
        png_path: the image to write.

    Raises:
        InputError: the image cannot be written.
    """
    classes = list(dict.fromkeys(each.class_name for each in measured))
    figure = Figure(figsize=(14, 0.6 + 3.4 * len(classes)), dpi=110, layout="constrained")
    panels = figure.subplots(len(classes), 1, squeeze=False)[:, 0]
    for panel, name in zip(panels, classes, strict=True):
        own = [each for each in measured if each.class_name == name]
        at = np.arange(len(own))
        width = 0.8 / len(SHOWN)
        for n, (measure, colour) in enumerate(SHOWN.items()):
            heights = [each.values[measure] for each in own]
            panel.bar(at + (n - (len(SHOWN) - 1) / 2) * width, heights, width, color=colour, label=measure)
        for x, each in zip(at, own, strict=True):
            panel.text(x, 101, f"{each.values['IDSW']:.0f}", ha="center", va="bottom", fontsize=8, color="#c1121f")
        panel.set_xticks(at, ["all" if each.sequence == COMBINED else each.sequence for each in own])
        panel.set_ylim(0, 112)
        panel.set_yticks(range(0, 101, 20))
        panel.set_ylabel("%")
        panel.set_title(f"{name}: identity switches above the bars, in red", loc="left", fontsize=10)
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(ncols=len(SHOWN), loc="upper right", bbox_to_anchor=(1, 1.16), frameon=False)
    try:
        figure.savefig(png_path, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(
            f"cannot write the image {png_path}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error
