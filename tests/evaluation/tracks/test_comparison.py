"""Two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.evaluation.tracks import COMBINED, measure_sequences, read_sequences
from roadmask.evaluation.tracks.comparison import compare_runs, faults


def box(frame: int, track: int, x: int) -> str:
    return f"{frame} {track} Car 0 0 0 {x} 100 {x + 80} 160 1 1 1 1 1 1 1\n"


def write(path: Path, rows: list[str]) -> Path:
    path.mkdir()
    (path / "0000.txt").write_text("".join(rows))
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "truth", [box(n, track, 200 * track + 5 * n) for n in range(10) for track in (1, 2)])


def test_faults_are_told_by_frame(tmp_path: Path, truth: Path) -> None:
    rows = [box(n, 7 + (n > 5), 200 + 5 * n) for n in range(10)]  # a switch in frame 6
    rows += [box(n, 9, 400 + 5 * n) for n in range(10) if n != 3]  # a miss in frame 3
    rows += [box(8, 50, 900)]  # something that is not there
    run, other = write(tmp_path / "run", rows), write(tmp_path / "other", rows[:6] + rows[10:])
    [data] = read_sequences(truth, run, "kitti-box", ["car"])
    assert [(each.frame, str(each)) for each in faults(data)] == [
        (3, "misses 2"),
        (4, "2 reappears"),
        (6, "1 switches 7 → 8"),
        (8, "false 50"),
    ]
    [less] = read_sequences(truth, other, "kitti-box", ["car"])
    differences = compare_runs([data], [less])
    assert [each.frame for each in differences] == [6, 7, 8, 9]
    assert [str(each) for each in differences[0].only_a] == ["1 switches 7 → 8"]
    assert [str(each) for each in differences[0].only_b] == ["misses 1"]
    assert [each.balance for each in differences] == [4, -1, -1, -1]


def test_counts_are_those_of_trackeval(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "reference" / "kitti_box"
    truth = tmp_path / "some"
    truth.mkdir()
    for name in ("0004", "0013", "0018"):
        (truth / f"{name}.txt").symlink_to((folder / "gt" / "label_02" / f"{name}.txt").resolve())
    data = read_sequences(truth, folder / "trackers" / "YOLOX-OC-SORT", "kitti-box", ["car"])
    assert sum(fault.kind == "switch" for each in data for fault in faults(each)) > 3
    measured = measure_sequences(data)
    for each, expected in zip(data, measured, strict=False):
        found = [fault.kind for fault in faults(each)]
        assert found.count("switch") == expected.values["IDSW"]
    assert measured[-1].sequence == COMBINED


def test_a_run_compared_with_itself_differs_nowhere(tmp_path: Path, truth: Path) -> None:
    renamed = write(tmp_path / "b", [box(n, 40 - t, 200 * t + 5 * n) for n in range(10) for t in (2, 1)])
    out, plot = tmp_path / "compare.json", tmp_path / "compare.png"
    command = ["compare", str(truth / "."), str(renamed), "--gt", str(truth), "--format", "kitti-box"]
    ran = CliRunner().invoke(app, [*command, "--classes", "car", "--json", str(out), "--plot", str(plot)])
    assert ran.exit_code == 0, ran.output
    assert "have the same faults" in ran.output
    assert {each["record"] for each in json.loads(out.read_text())["results"]} == {"measures"}
    assert plot.read_bytes().startswith(b"\x89PNG")
