"""Each instrument is a command of its own: `python -m benchmarks.NAME`."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
INSTRUMENTS = sorted(path.parent.name for path in (ROOT / "benchmarks").glob("*/__main__.py"))


def test_all_instruments_are_there() -> None:
    names = "annotate camera_motion chaos footprint gpu install_size plans processes soak store tracking"
    names += " tracking_robustness view"
    assert names.split() == INSTRUMENTS


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_help_shows_the_options(name: str) -> None:
    shown = CliRunner().invoke(import_module(f"benchmarks.{name}.__main__").app, ["--help"])
    assert shown.exit_code == 0
    assert "--json" in shown.output


def test_an_error_is_a_message_and_an_exit_code() -> None:
    command = [sys.executable, "-m", "benchmarks.store", "nowhere"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr
