"""A format is one module and one entry in the registry: the command line and the checks follow from it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from roadmask.cli import app
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.registry import FORMATS, ExportFormat
from support.stores import record, street

DOCS = Path(__file__).parents[4] / "docs"


def test_every_format_can_be_loaded_and_says_what_it_is() -> None:
    for name, each in FORMATS.items():
        assert name == each.name
        assert each.title
        assert not each.suffix or each.suffix.startswith(".")
        for package in each.packages:
            pytest.importorskip(package, reason="needs roadmask[export]")
        assert callable(each.writer)


def test_every_format_is_offered_and_documented() -> None:
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200"}).output
    pages = "".join(page.read_text() for page in DOCS.rglob("*export*.md"))
    for name in FORMATS:
        assert name in shown
        assert f"`{name}`" in pages


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    drive = record(tmp_path / "drive.zarr", street(2))
    ran = CliRunner().invoke(app, ["export", str(drive), "--to", "coca", str(tmp_path / "a.json")])
    assert ran.exit_code != 0
    assert "expected a format among coco" in str(ran.exception)


def test_a_new_format_needs_a_module_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(job: ExportJob, path: Path) -> None:
        path.write_text("".join(f"{camera.name} {frame.frame_index} {len(frame)}\n" for camera, frame in job.frames()))

    module = ModuleType("counts")
    module.write = write  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "counts", module)
    monkeypatch.setitem(FORMATS, "counts", ExportFormat("counts", "counts", "counts", ".txt"))
    drive = record(tmp_path / "drive.zarr", street(4))
    ran = CliRunner().invoke(app, ["export", str(drive), "--to", "counts", str(tmp_path / "counts.txt")])
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "counts.txt").read_text() == "front 0 1\nfront 1 1\nfront 2 1\nfront 3 2\n"
    refused = CliRunner().invoke(app, ["export", str(drive), "--to", "counts", str(tmp_path / "counts.csv")])
    assert "ends in .txt" in str(refused.exception)
