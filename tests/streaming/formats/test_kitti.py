"""KITTI's text files: what is read, what is written back, what is refused; `roadmask track` on them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.cli import app
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.streaming.formats.kitti import read_kitti_box, read_kitti_mots, sequence_files

TAIL = "1.6 1.7 4.0 2.2 2.2 20.5 -10"


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_boxes_are_read_by_frame(tmp_path: Path) -> None:
    path = written(
        tmp_path / "0000.txt",
        f"2 7 Pedestrian -1 -1 -5.0 797.7 162.8 888.0 330.0 {TAIL} 0.25",
        f"0 3 Car -1 -1 -5.0 10 20 30.5 40 {TAIL} 0.75",
        f"0 -1 DontCare -1 -1 -10 1 2 3 4 {TAIL}",
        f"0 4 Van 0 0 0 1 2 3 4 {TAIL}",
        f"2 9 car -1 -1 0 1251.1 157 1242.0 176 {TAIL} 1",
    )
    frames = read_kitti_box(path)
    assert [len(frame.instances) for frame in frames] == [1, 0, 2]
    assert frames[2].instances.category_ids.tolist() == [PEDESTRIAN, CAR]
    np.testing.assert_allclose(frames[0].instances.boxes, [[10, 20, 30.5, 40]])
    assert frames[0].instances.scores.tolist() == [0.75]
    assert frames[2].instances.boxes[1, 0] == frames[2].instances.boxes[1, 2] == 1242  # wholly beyond the edge
    assert frames[2].rows[0][-1] == "0.25"


@pytest.mark.parametrize("score", ["11.2", "-1"])
def test_scores_of_another_scale_are_not_used(tmp_path: Path, score: str) -> None:
    path = written(
        tmp_path / "0000.txt", f"0 3 Car -1 -1 0 1 2 3 4 {TAIL} {score}", f"1 3 Car 0 0 0 1 2 3 4 {TAIL} 0.5"
    )
    assert [frame.instances.scores.tolist() for frame in read_kitti_box(path)] == [[1.0], [1.0]]


def test_masks_are_read_byte_for_byte(data_dir: Path) -> None:
    path = data_dir / "kitti_mots_gt" / "0017.txt"
    frames = read_kitti_mots(path)
    rows = [line.split() for line in path.read_text().splitlines()]
    assert sum(len(frame.rows) for frame in frames) == sum(row[2] in ("1", "2") for row in rows)
    first = frames[0]
    assert first.instances.masks is not None
    assert [counts.decode() for counts in first.instances.masks.to_rle().counts] == [row[5] for row in first.rows]
    dense = next(first.instances.masks.to_rle().dense())
    y, x = np.nonzero(dense)
    assert first.instances.boxes[0].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 1 Car 0 0 0 1 2 3", "0000.txt:1: expected .* at least 17 fields"),
        (f"x 1 Car 0 0 0 1 2 3 4 {TAIL}", "expected a frame number"),
        (f"0 1 Car 0 0 0 a 2 3 4 {TAIL}", "expected numbers"),
        (f"0 1 Car 0 0 0 nan 2 3 4 {TAIL}", "must be finite"),
        (f"99999999999 1 Car 0 0 0 1 2 3 4 {TAIL}", "below 10,000,000"),
    ],
)
def test_broken_boxes_are_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_kitti_box(written(tmp_path / "0000.txt", line))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0 1 1 375 1242"], "at least 6 fields"),
        (["0 1 1 375 1242 !!"], "run lengths"),
        (["0 1 1 4 4 `0", "0 2 1 4 5 d0"], "one image size"),
        (["0 1 1 x 4 `0"], "invalid literal"),
    ],
)
def test_broken_masks_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_kitti_mots(written(tmp_path / "0000.txt", *lines))


def test_a_folder_without_sequences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        sequence_files(tmp_path)


def track(detections: Path, out: Path, kind: str) -> Path:
    ran = CliRunner().invoke(app, ["track", "--detections", str(detections), "--format", kind, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    return out


def tracks_of(path: Path) -> set[frozenset[tuple[str, ...]]]:
    """The rows of each track without their ids: what is left when tracks are renamed."""
    found = defaultdict(set)
    for line in path.read_text().splitlines():
        frame, own, *rest = line.split()
        found[own].add((frame, *rest))
    return {frozenset(rows) for rows in found.values()}


@pytest.mark.parametrize(
    ("kind", "source"),
    [("kitti-box", "reference/kitti_box/trackers/CIWT/data/0012.txt"), ("kitti-mots", "kitti_mots_gt/0017.txt")],
)
def test_neither_ids_nor_the_order_of_rows_matter(data_dir: Path, tmp_path: Path, kind: str, source: str) -> None:
    rows = [line.split() for line in (data_dir / source).read_text().splitlines()]
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        folder = tmp_path / f"in{seed}"
        folder.mkdir()
        # every row with an id of its own
        lines = [" ".join((rows[i][0], str(n), *rows[i][2:])) for n, i in enumerate(order)]
        written(folder / "0000.txt", *lines)
        found.append(tracks_of(track(folder, tmp_path / f"out{seed}", kind) / "0000.txt"))
    assert found[0] == found[1] == found[2]
    assert 2 < len(found[0]) < len(rows) / 5


def test_rows_leave_as_they_came_but_for_the_id(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = [f"{n} 5 Car -1.000000 -1 -5.0 {10 + n}.50 20 130.000 90 {TAIL} 0.750" for n in range(4)]
    written(tmp_path / "in" / "0007.txt", *lines)
    out = track(tmp_path / "in", tmp_path / "out", "kitti-box") / "0007.txt"
    assert out.read_text().splitlines() == [line.replace(" 5 ", " 1 ", 1) for line in lines]


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "0000.txt", f"0 3 Car -1 -1 0 1 2 3 4 {TAIL}")
    before = path.read_bytes()
    arguments = ["track", "--detections", str(tmp_path), "--format", "kitti-box", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code != 0
    assert path.read_bytes() == before
