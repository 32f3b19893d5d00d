"""The process in which the engine's start and memory are measured: it loads the engine and segments images.

`python -m benchmarks.footprint.engine_process SETTINGS START` takes the settings as JSON and the time at which it was
started, seconds since 1970, and prints one record as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from typing import Any

from benchmarks.footprint.measuring import FootprintBenchmark

_IMAGES, _WARM_UP_ROUNDS = 8, 4
"""Number of images, and of rounds over them before the measurement: the first runs allocate what is kept."""
_PARTS = 5
"""Number of parts of the frames over which growth is measured."""
_MEASURED = 24
"""Number of images whose own memory is traced, which slows them."""


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
    for image in images * _WARM_UP_ROUNDS:
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
    for _ in range(_PARTS):
        for number in range(settings.frames // _PARTS):
            segmenter([images[number % _IMAGES]])
        marks.append(_held_bytes())
    # The median, as a heap may take a large piece at any time, once.
    growth = float(np.median(np.diff(marks))) / (settings.frames // _PARTS)
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
