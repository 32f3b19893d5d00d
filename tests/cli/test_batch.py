"""`roadmask batch` as it is typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.batches import write_drives
from support.compare_stores import differing_files


def test_the_command_plans_refuses_and_reports_broken_drives(
    roadmask_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    videos = write_drives(tmp_path / "videos", 1, broken=2)
    (videos / "d00.mp4").unlink()
    code, said = roadmask_cli("batch", videos, "--out", "out", "--dry-run", "--json", "plan.json")
    assert code == 0, said
    assert "broken" in said
    assert [record["state"] for record in json.loads((tmp_path / "plan.json").read_text())["results"]] == ["broken"] * 2
    assert not (tmp_path / "out").exists()
    code, said = roadmask_cli("batch", videos, "--out", "out")
    assert (code, "Traceback" in said) == (3, False), said
    assert "text file" in (tmp_path / "out" / "report.html").read_text()
    assert roadmask_cli("batch", "nowhere", "--out", "out")[0] == 2
    assert roadmask_cli("batch", videos, "--out", "out", "--pattern", "{cam}")[0] == 2
    (tmp_path / "file").touch()
    assert roadmask_cli("batch", videos, "--out", "file")[0] == 4


@pytest.mark.bars
def test_the_command_is_interrupted_and_goes_on(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, "-m", "roadmask", "batch", str(data_dir / "clips"), "--out", "out", "--workers", "1"]
    command += ["--max-frames", "40"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(tmp_path.glob("out/*.zarr")) and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, printed = run.communicate(timeout=300)
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
