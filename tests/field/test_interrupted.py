"""Runs that each signal interrupts: what they leave behind, what `check` says of it, and how they go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from roadmask.streaming.recording import drive as running
from roadmask.streaming.store import check_drive, open_drive
from support.compare_stores import differing_files
from support.drives import bright_segmenter
from support.video_factory import write_clip

TESTS = Path(__file__).parents[1]
FRAMES = 120
LIVE_FRAMES = 1500  # a minute, at which no run arrives
WAIT_S = 300.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
HOW = {
    "process": ["run", "front=clip.mp4", "--no-ray", "--config", "small.toml"],
    "ray": ["run", "front=clip.mp4", "--ray", "--config", "small.toml"],
    "live": ["live", "front=replay:clip.mp4", "--page", "none", "--config", "small.toml"],
}
Cli = Callable[..., tuple[int, str]]


@dataclass
class Ended:
    """A run that ended, and where."""

    how: str
    number: signal.Signals
    folder: Path
    code: int
    printed: str

    @property
    def out(self) -> Path:
        return self.folder / "drive.zarr"


class Running:
    """A run in a process group of its own, which gets signals as from a terminal: all of its processes."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder, self.how = folder, how
        folder.mkdir()
        write_clip(folder / "clip.mp4", range(LIVE_FRAMES if how == "live" else FRAMES), b_frames=0)
        (folder / "small.toml").write_text("[store]\nshard_mb = 0.001\n")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.scripted_cli", *HOW[how], "--out", "drive.zarr"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(TESTS), "SLOW_S": "0.05", "COLUMNS": "200"},
        )

    def committed(self) -> int:
        out = self.folder / "drive.zarr"
        cameras = open_drive(out) if (out / "zarr.json").exists() else {}
        return len(cameras["front"]) if "front" in cameras else 0

    def wait_for(self, frames: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.committed() < frames and self._process.poll() is None:
            assert time.monotonic() < deadline, self.folder
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def end(self, number: signal.Signals) -> Ended:
        self.send(number)
        printed, _ = self._process.communicate(timeout=WAIT_S)
        return Ended(self.how, number, self.folder, self._process.returncode, printed)


@pytest.fixture
def whole(tmp_path: Path, roadmask_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of a run that nothing interrupted; the same engine goes on with the others."""
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())
    folder = tmp_path / "whole"
    folder.mkdir()
    write_clip(folder / "clip.mp4", range(FRAMES), b_frames=0)
    (folder / "small.toml").write_text("[store]\nshard_mb = 0.001\n")
    monkeypatch.chdir(folder)
    assert roadmask_cli(*HOW["process"], "--out", "drive.zarr")[0] == 0
    return folder / "drive.zarr"


def verify(ended: Ended, whole: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds after any signal at any moment."""
    assert "Traceback" not in ended.printed or (ended.code < 0 and not ended.out.exists()), ended
    assert "***" not in ended.printed, ended
    killed = ended.number is signal.SIGKILL
    early = {-ended.number} if not ended.out.exists() else set()  # while Python started
    assert ended.code in {0, -signal.SIGKILL if killed else 130} | early, ended
    monkeypatch.chdir(ended.folder)
    if not killed:
        assert list(ended.folder.rglob("*.lock")) == []
    if not (ended.out / "zarr.json").exists():
        return
    code, said = cli("check", "drive.zarr")
    assert code == 0, (ended, said)
    finished = ended.code == 0 or (ended.how == "live" and not killed)
    if finished:
        front = open_drive(ended.out)["front"]
        assert front.complete
        assert front.ledger.captured == front.ledger.accounted
        assert "interrupted" not in said
    elif ended.how == "live":
        report = check_drive(ended.out)
        assert (report.interrupted, report.resumable) == (True, False)
        assert "a live run cannot be resumed" in said
    else:
        assert "interrupted, resumable" in said
        code, said = cli(*HOW["process"], "--out", "drive.zarr", "--resume")
        assert code == 0, (ended, said)
        assert differing_files(whole, ended.out) == []
        assert "interrupted" not in cli("check", "drive.zarr")[1]


def test_each_signal_leaves_a_store_that_opens_and_goes_on(
    tmp_path: Path, roadmask_cli: Cli, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = (("process", signal.SIGINT), ("process", signal.SIGKILL), ("ray", signal.SIGTERM), ("live", signal.SIGHUP))
    runs = [(Running(tmp_path / number.name, how), number) for how, number in scenes]
    for run, number in runs:
        run.wait_for(5)
        ended = run.end(number)
        assert ended.code == (-signal.SIGKILL if number is signal.SIGKILL else 130), ended
        verify(ended, whole, roadmask_cli, monkeypatch)
        assert len(open_drive(ended.out)["front"]) > 0


@pytest.mark.ci
def test_a_killed_live_run_says_how_many_frames_are_missing(
    tmp_path: Path, roadmask_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Running(tmp_path / "killed", "live")
    run.wait_for(5)
    time.sleep(1.0)  # a third of the time between two commits
    ended = run.end(signal.SIGKILL)
    monkeypatch.chdir(ended.folder)
    code, said = roadmask_cli("check", "drive.zarr")
    assert code == 0
    captured = int((ended.out / "front" / ".captured").read_text())
    missing = captured - open_drive(ended.out)["front"].ledger.accounted
    assert 10 <= missing <= captured <= LIVE_FRAMES
    assert f"camera front: {missing} of {captured} captured frames are missing" in said


@pytest.mark.ci
def test_ctrl_c_twice_ends_a_live_run_with_a_ledger_that_adds_up(
    tmp_path: Path, roadmask_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Running(tmp_path / "twice", "live")
    run.wait_for(5)
    run.send(signal.SIGINT)
    time.sleep(0.4)
    ended = run.end(signal.SIGINT)
    assert ended.code == 130
    assert open_drive(ended.out)["front"].complete
    verify(ended, tmp_path, roadmask_cli, monkeypatch)


@pytest.mark.bars
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("how", HOW)
def test_signals_at_random_moments(
    tmp_path: Path,
    roadmask_cli: Cli,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    number: signal.Signals,
) -> None:
    """Forty and more in all: some before anything is stored, the others anywhere in the run."""
    moments = np.random.default_rng([list(HOW).index(how), number])
    for n in range(4):
        run = Running(tmp_path / str(n), how)
        if n == 0:
            time.sleep(moments.uniform(1.5, 4.0))
        else:
            run.wait_for(int(moments.integers(1, FRAMES // 3)))
            time.sleep(moments.uniform(0.0, 0.5))
        verify(run.end(number), whole, roadmask_cli, monkeypatch)
