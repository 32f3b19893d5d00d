"""`roadmask info`: the summary of a store, in words and as a plot."""

from __future__ import annotations

from pathlib import Path

import cv2


def test_info_shows_and_plots(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    code, printed = roadmask_cli("info", drive, "--plot", tmp_path / "summary.png")
    assert code == 0
    for word in ("front", "640 x 384", "car", "id_map", "captured"):
        assert word in printed
    assert cv2.imread(str(tmp_path / "summary.png")).std() > 10


def test_a_plot_is_a_png(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    code, printed = roadmask_cli("info", drive, "--plot", tmp_path / "drive.mp4")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert ".png" in printed
