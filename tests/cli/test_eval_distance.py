"""`roadmask eval distance` from files to records and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.kitti_distance import made_up


def test_the_command_measures_groups_apart_and_writes_records(roadmask_cli, tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    made_up(tmp_path, "0014", 30.0)
    folders = [word for part in ("masks", "calibration", "gt") for word in (f"--{part}", tmp_path / part)]
    out = tmp_path / "out.json"
    code, printed = roadmask_cli("eval", "distance", *folders, "--json", out, "--median-max", "car=5")
    assert code == 0, printed
    records = json.loads(out.read_text())["results"]
    whole = {each["sequences"]: each for each in records if each["visible"] and each["farthest"] == 80.0}
    assert {name: each["instances"] for name, each in whole.items()} == {
        "chosen": 2,
        "later": 2,
        "all": 4,
        "0001": 2,
        "0014": 2,
    }
    assert whole["all"]["median_percent"] < 5
    assert whole["chosen"]["naive_median_percent"] == pytest.approx(100 * 0.65 / 15, abs=2)
    code, printed = roadmask_cli("eval", "distance", *folders, "--median-max", "car=0.001")
    assert code == 1
    assert "limit missed" in printed


def test_folders_without_a_common_sequence_are_refused(roadmask_cli, tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    (tmp_path / "gt" / "0001.txt").rename(tmp_path / "gt" / "0002.txt")
    folders = [word for part in ("masks", "calibration", "gt") for word in (f"--{part}", tmp_path / part)]
    code, printed = roadmask_cli("eval", "distance", *folders)
    assert code == 2
    assert "found none in all three" in printed
