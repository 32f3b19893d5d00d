"""The demos that read a store run on a small one, and say what is true of it."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from roadmask.streaming.store import open_drive
from support.recorded_drive import CROSSING, FRAMES, record

pytestmark = pytest.mark.ci

DEMOS = Path(__file__).resolve().parents[1] / "demos"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("demos"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path) -> Callable[..., str]:
    monkeypatch.chdir(store.parent)

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(DEMOS / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_count_and_plot(run: Callable[..., str], store: Path) -> None:
    lines = [line.split() for line in run("04_count_and_plot", store).splitlines()]
    assert ["car", "1", str(FRAMES), str((FRAMES - 1) / 10)] in lines
    assert ["pedestrian", "1", str(len(CROSSING)), "0.9"] in lines
    assert Image.open(store.with_name("counts.png")).width > 500


def test_your_own_detector(run: Callable[..., str]) -> None:
    printed = run("05_your_own_detector", 6)
    boxes, tracks = map(int, re.findall(r"(\d+) confirmed boxes in 6 frames belong to (\d+) tracks", printed)[0])
    assert tracks >= 4
    assert boxes >= 2 * tracks
    assert np.asarray(Image.open("out/your-detector.png")).shape[2] == 3


def test_anonymize(run: Callable[..., str], store: Path) -> None:
    printed = run("06_anonymize", store)
    assert "px of road users in frame" in printed
    with av.open(str(store.with_name("drive-anonymous.mp4"))) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES


def test_coco_and_back(run: Callable[..., str], store: Path) -> None:
    printed = run("07_coco_and_back", store, store.with_name("front.mp4"))
    assert f"{FRAMES + len(CROSSING)} masks in {FRAMES} images came back bit for bit" in printed
    assert f"2 tracks before, 2 tracks in {store.with_name('again.zarr')}" in printed
    again, before = (open_drive(path)["front"] for path in (store.with_name("again.zarr"), store))
    assert np.array_equal(again.id_map(CROSSING[3]) > 0, before.id_map(CROSSING[3]) > 0)
