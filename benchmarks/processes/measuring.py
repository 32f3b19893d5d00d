"""Measures a live pipeline as it ships, and with one process after the other folded into the process that runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError, RunError
from roadmask.evaluation.speed.clips import lengthened, seconds_of

_START_S = 180.0
"""Seconds that a pipeline may take to start, beside what is measured."""


@dataclass(frozen=True)
class Arrangement:
    """Which stages of the pipeline have a process of their own."""

    decoder: bool = True
    """A process for each camera; otherwise a thread of the coordinator."""
    reader: bool = False
    """An actor for each camera; otherwise threads of the coordinator."""
    segmenter: bool = True
    """An actor; otherwise a thread of the coordinator."""
    recorder: bool = True
    """An actor for each camera; otherwise a thread of the coordinator."""

    @property
    def needs_ray(self) -> bool:
        """Whether any stage is an actor."""
        return self.reader or self.segmenter or self.recorder


ARRANGEMENTS = {
    "as shipped": Arrangement(),
    "reader in an actor": Arrangement(reader=True),
    "decoder in the coordinator": Arrangement(decoder=False),
    "segmenter in the coordinator": Arrangement(segmenter=False),
    "recorder in the coordinator": Arrangement(recorder=False),
    "one process": Arrangement(decoder=False, segmenter=False, recorder=False),
}


@dataclass(frozen=True)
class ProcessBenchmark:
    """What is measured."""

    cameras: int = 2
    """Number of cameras that replay the clip."""
    seconds: float = 20.0
    """Duration of each measurement."""
    engine_ms: float | None = 80.0
    """Time per image of an engine that only waits, milliseconds; the default engine if None."""


def measure_processes(
    clip: Path,
    settings: ProcessBenchmark,
    names: Sequence[str] = tuple(ARRANGEMENTS),
    progress: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Runs each arrangement in a fresh process.

    Args:
        clip: a video that every camera replays at its own pace.
        settings: what is measured.
        names: which of `ARRANGEMENTS`.
        progress: called with the name of each arrangement before it runs.

    Returns:
        Records of arrangement, frames_per_second (recorded, all cameras), age_p50_ms and age_p95_ms (from capture to
        tracked, drawn and queued for the store), lag_p95_ms (how much later than asked a sleep of 5 ms ends in the
        coordinator), cpu_percent (100 is one core), memory_mb (unique set size) and processes, Ray's own included.

    Raises:
        InputError: an arrangement is unknown.
        RunError: an arrangement did not run.
    """
    for name in names:
        if name not in ARRANGEMENTS:
            raise InputError(f"unknown arrangement {name!r}: expected {', '.join(ARRANGEMENTS)}.")
    records = []
    with tempfile.TemporaryDirectory(prefix="roadmask-processes-") as made:
        length_s = settings.seconds + _START_S
        long = lengthened(clip, Path(made) / "long.mp4", 1 + round(length_s / seconds_of(clip)))
        for name in names:
            progress(name)
            asked = {"clip": str(long), "settings": asdict(settings), "arrangement": asdict(ARRANGEMENTS[name])}
            command = [sys.executable, "-m", "benchmarks.processes.pipeline", json.dumps(asked)]
            ended = subprocess.run(  # noqa: S603 - our own module
                command, capture_output=True, text=True, check=False, timeout=length_s + _START_S
            )
            if ended.returncode:
                raise RunError(
                    f"{name}: the pipeline ended with code {ended.returncode}: {ended.stderr.strip()[-500:]}"
                )
            records.append({"arrangement": name} | json.loads(ended.stdout.splitlines()[-1]))
    return records


def markdown_table(records: Sequence[dict[str, Any]]) -> str:
    """Returns records of the same fields as a table in Markdown."""
    names = list(records[0])
    rows = [[str(record[name]) for name in names] for record in records]
    heading = [name.replace("_", " ") for name in names]
    lines = [heading, ["---"] + ["---:"] * (len(names) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
