"""`roadmask run` needs no torch once the graph is exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roadmask.engines.letterbox import choose_input_size
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import find_weights
from roadmask.sample_drive import SampleDrive
from roadmask.streaming.sinks.video_writer import VideoWriter
from roadmask.streaming.store import open_drive

PROGRAM = (
    "import sys\n"
    "for name in ('torch', 'torchvision', 'onnx', 'onnxscript'): sys.modules[name] = None\n"
    "from roadmask.cli import main\n"
    "main()"
)


def test_with_a_warm_cache_a_run_needs_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = SampleDrive()
    with VideoWriter(tmp_path / "drive.mp4") as video:
        for number in range(3):
            video.write(drive.render(number), number * 40_000_000)

    def run(out: str) -> subprocess.CompletedProcess[str]:
        options = ["--out", out, "--precision", "fp32", "--score-min", "0.05"]
        command = [sys.executable, "-c", PROGRAM, "run", "front=drive.mp4", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    lite = find_weights("lite")
    # What it would choose for these images, and other tests export, too.
    exported_graphs(lite, choose_input_size(drive.render(0).shape[:2]), GraphSettings.of(lite.architecture))
    warm = run("warm.zarr")
    assert warm.returncode == 0, warm.stderr
    front = open_drive(tmp_path / "warm.zarr")["front"]
    assert front.ledger.accounted == 3
    assert sum(epoch.extent.instances for epoch in front.epochs) > 3, "masks were computed, too"

    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "empty"))
    cold = run("cold.zarr")
    assert cold.returncode == 2
    assert "pip install 'roadmask[torch]'" in cold.stderr
