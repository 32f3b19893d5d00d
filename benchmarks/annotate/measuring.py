"""Times `roadmask annotate` against `roadmask run` on the same video, in interleaved rounds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from roadmask.engines.errors import RunError


def benchmark_annotate(source: str, rounds: int, frames: int | None) -> dict[str, Any]:
    """Returns the times of both commands, each in a process of its own, and the share that annotating adds.

    Args:
        source: as `roadmask run` takes it.
        rounds: runs of each command; the first round also fills the cache and does not count.
        frames: maximum number of frames; None for all.

    Raises:
        RunError: a command failed.
    """
    limit = [] if frames is None else ["--max-frames", str(frames)]
    wall: dict[str, list[float]] = {"run": [], "annotate": []}
    processor: dict[str, list[float]] = {"run": [], "annotate": []}
    with tempfile.TemporaryDirectory(prefix="roadmask-") as scratch:
        for number in range(rounds + 1):
            for command, seconds in wall.items():
                out = Path(scratch) / f"{command}-{number}"
                before, started = os.times(), time.perf_counter()
                done = subprocess.run(  # noqa: S603 - our own commands
                    [sys.executable, "-m", "roadmask", command, source, "--out", str(out), *limit],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode not in (0, 3):
                    raise RunError(f"roadmask {command} failed: {done.stderr.strip()[-500:]}")
                after = os.times()
                if number:
                    seconds.append(time.perf_counter() - started)
                    spent = after.children_user + after.children_system
                    processor[command].append(spent - before.children_user - before.children_system)
    return {
        "source": source,
        "rounds": rounds,
        "run_s": round(median(wall["run"]), 2),
        "annotate_s": round(median(wall["annotate"]), 2),
        "added_share": round(_added(wall), 3),
        "added_processor_share": round(_added(processor), 3),
    }


def _added(seconds: dict[str, list[float]]) -> float:
    """Returns the median over rounds: what slows a round down slows both of its commands down."""
    return median(after / before - 1 for before, after in zip(seconds["run"], seconds["annotate"], strict=True))
