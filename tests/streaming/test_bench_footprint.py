"""What the default engine takes besides time is stated, and bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadmask.engines.errors import EngineError
from roadmask.streaming.benchmarks.footprint import FootprintBenchmark, benchmark_footprint
from roadmask.streaming.cli.app import app


def test_lite_holds_and_takes_little(tmp_path: Path) -> None:
    written = tmp_path / "footprint.json"
    asked = ["bench", "footprint", "--frames", "50", "--precision", "fp32", "--json", str(written)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    [record] = json.loads(written.read_text())["results"]
    assert (record["weights"], record["engine"], record["precision"]) == ("lite", "openvino", "fp32")
    assert record["mean_detections"] > 3
    assert 50 < record["resident_mb"] < 500
    assert record["resident_mb"] < record["process_mb"] < 600
    # The letterboxed picture alone is 737 kB; a dense mask of such a frame would be 522 kB each.
    assert 700 < record["allocated_kb_median"] <= record["allocated_kb_max"] < 2500
    assert record["growth_kb"] < 100
    assert 0 < record["start_s"] < 120


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(EngineError, match=r"loads none\.pt ended with 1: .*none\.pt"):
        benchmark_footprint(FootprintBenchmark(weights="none.pt"))
