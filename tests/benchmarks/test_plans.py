"""The benchmark of plans builds what it says. No test looks at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.plans.__main__ import app


def test_plans_are_built_each_and_as_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built: list[list[int]] = []

    def build(_onnx: object, _target: object, batches: list[int], _shape: object) -> bytes:
        built.append(batches)
        return bytes(1_000_000 * len(batches))

    monkeypatch.setattr("benchmarks.plans.measuring.build_plan", build)
    monkeypatch.setattr("benchmarks.plans.measuring.typed_onnx", lambda *_: tmp_path)
    written = tmp_path / "plans.json"
    asked = ["--batch", "1", "--batch", "4", "--json", str(written)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert built == [[1], [4], [1, 4]]
    assert '"profiles"' in written.read_text()
    refused = CliRunner().invoke(app, ["--precision", "bf16"])
    assert refused.exit_code == 2
    assert "bf16" in refused.output
