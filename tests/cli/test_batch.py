"""`roadmask batch` as it is typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadmask.streaming.store.compare import differing_files
from support.batches import write_drives


def cli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "roadmask", "batch", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_plans_refuses_and_reports_broken_drives(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1, broken=2)
    (videos / "d00.mp4").unlink()
    planned = cli(videos, "--out", "out", "--dry-run", "--json", "plan.json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "broken" in planned.stderr
    assert [record["state"] for record in json.loads((tmp_path / "plan.json").read_text())["results"]] == ["broken"] * 2
    assert not (tmp_path / "out").exists()
    ended = cli(videos, "--out", "out", cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "text file" in (tmp_path / "out" / "report.html").read_text()
    assert cli("nowhere", "--out", "out", cwd=tmp_path).returncode == 2
    assert cli(videos, "--out", "out", "--pattern", "{cam}", cwd=tmp_path).returncode == 2
    (tmp_path / "file").touch()
    assert cli(videos, "--out", "file", cwd=tmp_path).returncode == 4


@pytest.mark.bars
def test_the_command_is_interrupted_and_goes_on(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, "-m", "roadmask", "batch", str(data_dir / "clips"), "--out", "out", "--workers", "1"]
    command += ["--max-frames", "40"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(tmp_path.glob("out/*.zarr")) and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, printed = run.communicate(timeout=120)
    assert run.returncode == 130, printed
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    for clip in ("highway", "freeway_near", "night_crossing"):
        one = [
            sys.executable,
            "-m",
            "roadmask",
            "run",
            str(data_dir / "clips" / f"{clip}.mp4"),
            "--out",
            f"{clip}.zarr",
        ]
        subprocess.run([*one, "--max-frames", "40"], cwd=tmp_path, check=True)
        assert differing_files(tmp_path / f"{clip}.zarr", tmp_path / "out" / f"{clip}.zarr") == []
