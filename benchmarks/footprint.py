"""What a run takes besides time for its images: seconds to start, memory that its engine holds and takes for a frame.

All of it is measured in processes of their own, which have imported nothing yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadmask.engines.errors import EngineError

_IMAGES, _SETTLING_ROUNDS = 8, 4
"""Images, and how often they all run before anything is measured: the first runs allocate what is kept."""
_STRETCHES = 5
"""Of the frames over which growth is measured."""
_MEASURED = 24
"""Images whose own memory is traced, which slows them."""


@dataclass(frozen=True)
class FootprintBenchmark:
    """What is measured."""

    weights: str = "lite"
    precision: str = "auto"
    input_size: str | None = None
    """Of the network's input; chosen by the images' aspect by default."""
    frame_size: tuple[int, int] = (540, 960)
    """Height and width of the images, which are the sample drive's."""
    threads: int | None = None
    frames: int = 300
    """Over which growth is measured."""


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
    line, _ = _printed(__spec__.name, json.dumps(asdict(settings)), str(time.time()))
    return [json.loads(line) | {"start_s": round(start_s, 2)}]


def _video(path: Path, frame_size: tuple[int, int]) -> Path:
    """Writes the first frame of the sample drive."""
    # The process that is measured imports this module, too.
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


def _measure(settings: FootprintBenchmark, started: float) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - the start is timed

    from roadmask.engines import load_segmenter  # noqa: PLC0415

    before = _held_bytes()
    segmenter = load_segmenter(
        settings.weights,
        precision=settings.precision,  # type: ignore[arg-type]
        input_size=settings.input_size,
        threads=settings.threads,
    )
    segmenter.warm_up(settings.frame_size)
    engine_start_s = time.time() - started

    beside = _held_bytes()
    from roadmask.sample_drive import SampleDrive, SampleDriveConfig  # noqa: PLC0415

    height, width = settings.frame_size
    drive = SampleDrive(SampleDriveConfig(height=height, width=width))
    images = [drive.render(index) for index in np.linspace(0, len(drive) - 1, _IMAGES).astype(int)]
    beside = _held_bytes() - beside  # of the sample drive, not of the engine
    for image in images * _SETTLING_ROUNDS:
        segmenter([image])
    held = _held_bytes()

    allocated, found = [], []
    tracemalloc.start()
    for number in range(_MEASURED):
        tracemalloc.reset_peak()
        had = tracemalloc.get_traced_memory()[0]
        found.append(len(segmenter([images[number % _IMAGES]])[0]))
        allocated.append(tracemalloc.get_traced_memory()[1] - had)
    tracemalloc.stop()

    marks = [_held_bytes()]
    for _ in range(_STRETCHES):
        for number in range(settings.frames // _STRETCHES):
            segmenter([images[number % _IMAGES]])
        marks.append(_held_bytes())
    # The median, as a heap may take a large piece at any time, once.
    growth = float(np.median(np.diff(marks))) / (settings.frames // _STRETCHES)
    info = segmenter.info
    return {
        "weights": info.weights,
        "engine": info.engine,
        "precision": info.precision,
        "frame": f"{height}x{width}",
        "frames": settings.frames,
        "mean_detections": round(float(np.mean(found)), 2),
        "engine_start_s": round(engine_start_s, 2),
        "resident_mb": round((held - beside - before) / 1e6, 1),
        "process_mb": round((held - beside) / 1e6, 1),
        "allocated_kb_median": round(float(np.median(allocated)) / 1e3, 1),
        "allocated_kb_max": round(max(allocated) / 1e3, 1),
        "growth_kb": round(growth / 1e3, 2),
    }


def _held_bytes() -> int:
    """Returns the memory that this process alone holds."""
    import psutil  # noqa: PLC0415 - the start is timed

    return int(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    given["frame_size"] = tuple(given["frame_size"])
    sys.stdout.write(json.dumps(_measure(FootprintBenchmark(**given), float(sys.argv[2]))) + "\n")
