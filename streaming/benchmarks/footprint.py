"""What an engine takes besides time for its pictures: seconds to start, memory that it holds, memory for each frame.

All of it is measured in a process of its own, which has imported nothing yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass, replace
from typing import Any

from roadmask.engines.errors import EngineError

_PICTURES, _SETTLING_ROUNDS = 8, 4
"""Pictures, and how often they all run before anything is measured: the first runs allocate what is kept."""
_STRETCHES = 5
"""Of the frames over which growth is measured."""
_MEASURED = 24
"""Pictures whose own memory is traced, which slows them."""


@dataclass(frozen=True)
class FootprintBenchmark:
    """What is measured."""

    weights: str = "lite"
    precision: str = "auto"
    size: str | None = None
    """Of the network's input; chosen by the pictures' aspect by default."""
    frame_size: tuple[int, int] = (540, 960)
    """Height and width of the pictures, which are the sample drive's."""
    threads: int | None = None
    frames: int = 300
    """Over which growth is measured; with 0 nothing is, the cache is filled alone."""


def benchmark_footprint(settings: FootprintBenchmark) -> list[dict[str, Any]]:
    """Starts a process that loads an engine and segments pictures.

    The first process fills the cache of graphs, so that the second shows a start as it is every day.

    Args:
        settings: what is measured.

    Returns:
        One record: weights, engine, precision, frame (its size), frames, mean_detections, start_s (from the start of
        Python to the first result), resident_mb (memory of the process that the engine added), process_mb (all of it),
        allocated_kb_median and allocated_kb_max (the most that NumPy and Python held at a time for a frame beyond what
        they held before) and growth_kb (of the process, a frame; median of five stretches).

    Raises:
        EngineError: the process failed; the message holds what it said.
    """
    for told in (replace(settings, frames=0), settings):
        started = time.time()
        command = [sys.executable, "-m", __spec__.name, json.dumps(asdict(told)), str(started)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or ["nothing"])[-1]
            raise EngineError(f"the process that loads {settings.weights} ended with {ended.returncode}: {said}")
    return [json.loads(ended.stdout.splitlines()[-1])]


def _measure(settings: FootprintBenchmark, started: float) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - the start is timed

    from roadmask.engines import load_segmenter  # noqa: PLC0415

    before = _held_bytes()
    segmenter = load_segmenter(
        settings.weights,
        precision=settings.precision,  # type: ignore[arg-type]
        size=settings.size,
        threads=settings.threads,
    )
    segmenter.warm_up(settings.frame_size)
    start_s = time.time() - started
    if not settings.frames:
        return {}

    beside = _held_bytes()
    from roadmask.demos.sample_drive import SampleDrive, SampleDriveConfig  # noqa: PLC0415

    height, width = settings.frame_size
    drive = SampleDrive(SampleDriveConfig(height=height, width=width))
    pictures = [drive.render(index) for index in np.linspace(0, len(drive) - 1, _PICTURES).astype(int)]
    beside = _held_bytes() - beside  # of the sample drive, not of the engine
    for picture in pictures * _SETTLING_ROUNDS:
        segmenter([picture])
    held = _held_bytes()

    allocated, found = [], []
    tracemalloc.start()
    for number in range(_MEASURED):
        tracemalloc.reset_peak()
        had = tracemalloc.get_traced_memory()[0]
        found.append(len(segmenter([pictures[number % _PICTURES]])[0]))
        allocated.append(tracemalloc.get_traced_memory()[1] - had)
    tracemalloc.stop()

    marks = [_held_bytes()]
    for _ in range(_STRETCHES):
        for number in range(settings.frames // _STRETCHES):
            segmenter([pictures[number % _PICTURES]])
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
        "start_s": round(start_s, 2),
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
