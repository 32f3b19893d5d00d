"""What the default engine takes besides time is stated, and bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.footprint import __main__ as command
from benchmarks.footprint.measuring import FootprintBenchmark, benchmark_footprint
from roadmask.engines.errors import EngineError


@pytest.mark.ci
def test_lite_holds_and_takes_little(tmp_path: Path) -> None:
    written = tmp_path / "footprint.json"
    asked = ["--frames", "20", "--precision", "fp32", "--json", str(written)]
    found = CliRunner().invoke(command.app, asked)
    assert found.exit_code == 0, found.output
    [record] = json.loads(written.read_text())["results"]
    assert (record["weights"], record["engine"], record["precision"]) == ("lite", "openvino", "fp32")
    assert record["mean_detections"] > 3
    assert 50 < record["resident_mb"] < 500
    assert record["resident_mb"] < record["process_mb"] < 600
    # The letterboxed image alone is 737 kB; a dense mask of such a frame would be 522 kB each.
    assert 700 < record["allocated_kb_median"] <= record["allocated_kb_max"] < 2500
    assert record["growth_kb"] < 100
    assert 0 < record["engine_start_s"] < 120
    assert 0 < record["start_s"] < 120


def test_a_start_holds_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"weights": "lite", "start_s": 3.01, "engine_start_s": 1.5}
    monkeypatch.setattr(command, "benchmark_footprint", lambda _: [record])
    missed = CliRunner().invoke(command.app, ["--start-max", "3"])
    assert missed.exit_code == 1
    assert "lite: start_s is 3.01, expected at most 3.0." in missed.output
    assert CliRunner().invoke(command.app, ["--start-max", "3.01"]).exit_code == 0
    assert CliRunner().invoke(command.app, []).exit_code == 0


def test_a_run_that_fails_says_why_in_its_own_words() -> None:
    with pytest.raises(EngineError, match=r"^expected bf16 or fp32 or int8 for [^:]*, got fp16: [^:]*\.$"):
        benchmark_footprint(FootprintBenchmark(precision="fp16"))
