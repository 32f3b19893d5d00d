"""What a run costs besides the time for its images: seconds to start, and the memory of its engine.

Both are measured in new processes, which have imported nothing yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadmask.engines.errors import EngineError


@dataclass(frozen=True)
class FootprintBenchmark:
    """What is measured."""

    weights: str = "lite"
    precision: str = "auto"
    input_size: str | None = None
    """Input size of the network as HxW; chosen by the images' aspect by default."""
    frame_size: tuple[int, int] = (540, 960)
    """Height and width in pixels of the images, which are those of the sample drive."""
    threads: int | None = None
    """Threads of the engine; one for each physical core by default."""
    frames: int = 300
    """Number of frames over which growth is measured."""


def benchmark_footprint(settings: FootprintBenchmark) -> list[dict[str, Any]]:
    """Starts `roadmask run` on a video of one frame, then a process that loads the engine and segments images.

    An earlier run fills the cache of graphs, so that the measured one shows a start as it is every day.

    Args:
        settings: what is measured.

    Returns:
        One record: weights, engine, precision, frame (its size), frames, mean_detections, engine_start_s (from the
        start of Python to the first result of the engine alone), resident_mb (memory of the process that the engine
        added), process_mb (all of it), allocated_kb_median and allocated_kb_max (the most that NumPy and Python held at
        a time for a frame beyond what they held before), growth_kb (of the process, a frame; median of five stretches)
        and start_s (from the start of Python until the run has stored its frame and names the store).

    Raises:
        EngineError: a process failed; the message is what it said.
    """
    with tempfile.TemporaryDirectory(prefix="roadmask-bench-") as folder:
        video = _video(Path(folder) / "drive.mp4", settings.frame_size)
        _run(settings, video, Path(folder) / "first.zarr")
        start_s = _run(settings, video, Path(folder) / "second.zarr")
    line, _ = _printed("benchmarks.footprint.engine_process", json.dumps(asdict(settings)), str(time.time()))
    return [json.loads(line) | {"start_s": round(start_s, 2)}]


def _video(path: Path, frame_size: tuple[int, int]) -> Path:
    """Writes the first frame of the sample drive."""
    # engine_process imports this module, and its start is timed.
    from roadmask.sample_drive import SampleDrive, SampleDriveConfig  # noqa: PLC0415
    from roadmask.streaming.sinks.video_writer import VideoWriter  # noqa: PLC0415

    height, width = frame_size
    with VideoWriter(path) as video:
        video.write(SampleDrive(SampleDriveConfig(height=height, width=width)).render(0), 0)
    return path


def _run(settings: FootprintBenchmark, video: Path, out: Path) -> float:
    """Runs the program, and returns the seconds until it names the store, which holds the frame by then."""
    given = {"weights": settings.weights, "precision": settings.precision, "input_size": settings.input_size}
    options = given | {"threads": settings.threads, "out": out}
    named = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return _printed("roadmask", "run", str(video), *named)[1]


def _printed(*module: str) -> tuple[str, float]:
    """Runs a module with its arguments; returns the first line that it prints, and after how many seconds."""
    command, start = [sys.executable, "-m", *module], time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,  # noqa: S603 - ours
    ):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line, seconds = process.stdout.readline(), time.perf_counter() - start
        if process.wait():
            complaints.seek(0)
            said = complaints.read().strip().splitlines()
            raise EngineError((said or [f"{module[0]} ended with {process.returncode}."])[-1].removeprefix("error: "))
    return line, seconds
