"""`roadmask track --offline`: filled rows in both formats of KITTI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines.masks import RleMasks

SIZE = (60, 200)
HIDDEN = (6, 7)


def box_row(frame: int) -> str:
    return f"{frame} -1 Car 0 0 -10 {4 * frame}.00 20.00 {4 * frame + 30}.00 40.00 1 1 1 0 0 0 0"


def mots_row(frame: int, left: int, kind: int = 1) -> str:
    dense = np.zeros((1, *SIZE), bool)
    dense[0, 20:40, left : left + 30] = True
    return f"{frame} 0 {kind} {SIZE[0]} {SIZE[1]} {RleMasks.from_dense(dense, SIZE).counts[0].decode()}"


def track(folder: Path, rows: list[str], kind: str, *options: str) -> list[list[str]]:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "0000.txt").write_text("\n".join(rows) + "\n")
    command = ["track", "--detections", str(folder / "in"), "--format", kind, "--out", str(folder / "out"), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return [line.split() for line in (folder / "out" / "0000.txt").read_text().splitlines()]


def test_boxes_are_filled_in(tmp_path: Path) -> None:
    rows = [box_row(n) for n in range(14) if n not in HIDDEN]
    assert len(track(tmp_path, rows, "kitti-box")) == 12
    written = track(tmp_path, rows, "kitti-box", "--offline")
    assert [int(row[0]) for row in written] == list(range(14))
    assert [row[6:10] for row in written] == [box_row(n).split()[6:10] for n in range(14)]
    assert len({row[1] for row in written}) == 1
    assert len(track(tmp_path, rows, "kitti-box", "--offline", "--fill-gap", "0")) == 12


def test_frames_that_were_skipped_are_not_filled_in(tmp_path: Path) -> None:
    rows = [box_row(n) for n in range(20) if n not in (8, 9)]
    written = track(tmp_path, rows, "kitti-box", "--offline", "--every", "2")
    assert [int(row[0]) for row in written] == list(range(0, 20, 2))
    assert written[4][6:10] == box_row(8).split()[6:10]


def test_masks_are_filled_in_without_overlap(tmp_path: Path) -> None:
    rows = [mots_row(n, 4 * n) for n in range(14) if n not in HIDDEN]
    rows += [mots_row(n, 40, kind=2) for n in HIDDEN]  # somebody walks in front
    written = track(tmp_path, rows, "kitti-mots", "--offline")
    filled = {int(row[0]): row for row in written if int(row[0]) in HIDDEN and row[2] == "1"}
    assert set(filled) == set(HIDDEN)
    for n, row in filled.items():
        both = RleMasks.from_coco([row[5], mots_row(n, 40).split()[5]], SIZE)
        mine, other = both.dense()
        assert not (mine & other).any()
        expected = np.zeros(SIZE, bool)
        expected[20:40, 4 * n : 4 * n + 30] = True
        assert (mine == expected & ~other).all()


def test_a_gap_needs_the_offline_pass(tmp_path: Path) -> None:
    (tmp_path / "0000.txt").write_text(box_row(0) + "\n")
    command = ["track", "--detections", str(tmp_path), "--format", "kitti-box", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*command, "--fill-gap", "1"])
    assert result.exit_code != 0
    assert "--offline" in str(result.exception)


MISSED = (10, 15, 20, 25, 30)


@pytest.mark.parametrize("kind", ["kitti-box", "kitti-mots"])
def test_what_the_detector_misses_gets_rows_once_that_is_known(tmp_path: Path, kind: str) -> None:
    make = box_row if kind == "kitti-box" else (lambda n: mots_row(n, 4 * n))
    rows = [make(n) for n in range(34) if n not in MISSED]
    written = {int(row[0]): row for row in track(tmp_path, rows, kind)}
    assert sorted(written) == [n for n in range(34) if n not in MISSED[:2]]
    for n in MISSED[2:]:
        expected = make(n).split()
        assert written[n][1] == written[n - 1][1]  # id, or of KITTI MOTS id and class
        if kind == "kitti-box":
            found, true = (np.array(row[6:10], np.float64) for row in (written[n], expected))
            np.testing.assert_allclose(found, true, atol=0.5)
        else:
            assert written[n][3:5] == expected[3:5]
            mine, true_mask = RleMasks.from_coco([written[n][5], expected[5]], SIZE).dense()
            assert (mine & true_mask).sum() / (mine | true_mask).sum() > 0.9
    assert len(track(tmp_path, rows, kind, "--coast", "0")) == len(rows)


def test_coasting_is_for_tracking_without_later_frames(tmp_path: Path) -> None:
    (tmp_path / "0000.txt").write_text(box_row(0) + "\n")
    command = ["track", "--detections", str(tmp_path), "--format", "kitti-box", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*command, "--offline", "--coast", "1"])
    assert result.exit_code != 0
    assert "exclude each other" in str(result.exception)
