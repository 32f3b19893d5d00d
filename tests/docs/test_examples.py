"""The programs of the docs run, each with a scripted engine in place of a network."""

from __future__ import annotations

import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

import roadmask
from roadmask.testing import ScriptedSegmenter
from support.pages import DOCS, ROOT, code_of

EXAMPLES = DOCS / "examples"
SAMPLE_DRIVE_SIZE = (384, 640)


def moving_car(_image: Any, number: int) -> roadmask.Instances:
    left, top, right, bottom = 100 + 4 * number, 200, 180 + 4 * number, 260
    outline = [left, top, right, top, right, bottom, left, bottom]
    found = {"segmentation": [outline], "category_id": roadmask.CAR, "score": 0.9}
    return roadmask.Instances.from_coco([found], SAMPLE_DRIVE_SIZE)


def scripted() -> ScriptedSegmenter:
    return ScriptedSegmenter(moving_car)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs an example with arguments, in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(roadmask, "load_segmenter", lambda *_, **__: scripted())
    monkeypatch.setattr(roadmask, "record_drive", partial(roadmask.record_drive, build=scripted))

    def run(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_first_program(run: Any) -> None:
    lines = run("first_program").splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith("4 car 1 [116 200 196 260]")


def test_perception_stack(run: Any) -> None:
    assert "track 1: box [136. 200. 216. 260.], [100.   0.] pixels per second" in run("perception_stack")


def test_other_detector(run: Any) -> None:
    assert run("other_detector").splitlines()[-1] == "[1] [[200.   0.]]"


def test_record_a_drive_and_read_it(run: Any, tmp_path: Path) -> None:
    assert "front 25 stored" in run("record_a_drive", "synthetic:?seconds=1", "drive.zarr")
    assert run("read_a_store", "drive.zarr").startswith("front: 25 frames, 1 tracks")


def test_own_sink(run: Any, tmp_path: Path) -> None:
    run("own_sink", "synthetic:?seconds=1", "drive.zarr")
    lines = (tmp_path / "front.csv").read_text().splitlines()
    assert lines[0] == "camera,timestamp_ns,track_id,class,x1,y1,x2,y2"
    assert lines[1] == "front,0,1,car,100.0,200.0,180.0,260.0"
    assert len(lines) == 26


def test_own_source(run: Any, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "front.npy", np.zeros((5, *SAMPLE_DRIVE_SIZE, 3), np.uint8))
    run("own_source", "front.npy", "drive.zarr")
    assert len(roadmask.open_drive(tmp_path / "drive.zarr")["front"]) == 5


def test_the_readme(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    [program] = [code.text for code in code_of(ROOT / "README.md") if code.language == "python"]
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("[1] [[100. 200. 180. 260.]]")


@pytest.mark.filterwarnings("error")
def test_the_ways_to_read_a_store_without_roadmask(run: Any) -> None:
    run("record_a_drive", "synthetic:?seconds=1", "drive.zarr")
    with_xarray, with_zarr = [c.text for c in code_of(DOCS / "reference" / "store.md") if c.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(with_xarray + with_zarr, "store.md", "exec"), names)
    assert names["id_map"].max() == 1
    assert names["frames"]["timestamp_ns"].dtype.kind == "m"
    assert "/front/0/instances" in names["everything"].groups
    assert names["last"] - names["first"] == 1


def test_watch_live_calls_the_library_as_it_is(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_live = create_autospec(roadmask.run_live)  # refuses arguments that the real one does not take
    run_live.return_value.cameras = []
    monkeypatch.setattr(roadmask, "run_live", run_live)
    run("watch_live", "rtsp://camera.local/stream", "drive.zarr")
    run_live.assert_called_once_with({"front": "rtsp://camera.local/stream"}, out="drive.zarr")
