"""`roadmask track`: neither ids nor the order of rows in its input tell it anything."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app


def tracks(path: Path) -> set[frozenset[tuple[str, ...]]]:
    """The tracks of a file without their names: which rows belong together."""
    found = defaultdict(set)
    for line in path.read_text().splitlines():
        frame, track, *rest = line.split()
        found[track].add((frame, *rest))
    return {frozenset(rows) for rows in found.values()}


@pytest.mark.parametrize(
    ("kind", "folder", "name"),
    [("kitti-mots", "kitti_mots_gt", "0014"), ("kitti-box", "reference/kitti_box/gt/label_02", "0013")],
)
def test_three_shuffles_get_the_same_tracks(data_dir: Path, tmp_path: Path, kind: str, folder: str, name: str) -> None:
    lines = (data_dir / folder / f"{name}.txt").read_text().splitlines()
    found = []
    for seed in range(3):
        draw = np.random.default_rng(seed)
        rows = [line.split() for line in lines]
        ids = draw.permutation(100_000)
        for n, row in enumerate(rows):
            row[1] = str(ids[n])  # every row another id
        source = tmp_path / f"in{seed}"
        source.mkdir()
        (source / f"{name}.txt").write_text("".join(" ".join(rows[n]) + "\n" for n in draw.permutation(len(rows))))
        out = tmp_path / f"out{seed}"
        command = ["track", "--detections", str(source), "--format", kind, "--out", str(out)]
        ran = CliRunner().invoke(app, [*command, *(["--shuffle", "7"] if seed == 2 else [])])
        assert ran.exit_code == 0, ran.output
        found.append(tracks(out / f"{name}.txt"))
    assert len(found[0]) > 5
    assert found[0] == found[1] == found[2]
