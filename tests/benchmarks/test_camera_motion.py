"""The benchmark of camera motion measures what it says. No test looks at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.camera_motion.__main__ import app
from benchmarks.camera_motion.measuring import VARIANTS, hota, switches


@pytest.mark.parametrize(
    ("given", "expected", "changed"),
    [
        ([[1, 2], [1, 2], [1, 2], [1, 2]], 100.0, 0),
        ([[1, 2], [1, 2], [2, 1], [2, 1]], 100 / 3**0.5, 2),  # each pair is 2 of 6 sightings
        ([[0, 2], [0, 2], [0, 2], [0, 2]], 100 / 2**0.5, 0),  # half of all missed
    ],
)
def test_hota_of_known_rows(given: list[list[int]], expected: float, changed: int) -> None:
    truth, ids = [np.array([1, 2])] * 4, [np.array(each) for each in given]
    assert hota(truth, ids) == pytest.approx(expected)
    assert switches(truth, ids) == changed


def test_bench_camera_motion_writes_its_records(tmp_path: Path) -> None:
    out = tmp_path / "motion.json"
    command = ["--frames", "8", "--shake", "0", "--shake", "0.1", "--json", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    records = json.loads(out.read_text())["results"]
    assert [(each["shake"], each["variant"]) for each in records] == [(s, v) for s in (0, 0.1) for v in VARIANTS]
    by = {(each["shake"], each["variant"]): each for each in records}
    assert by[0.1, "image"]["error_px"] < 2
    assert by[0.1, "pose"]["hota"] > by[0.1, "none"]["hota"] + 10
    assert by[0.1, "image"]["hota"] > by[0.1, "none"]["hota"] + 10
