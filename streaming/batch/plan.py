"""What a batch is going to do, and what it is going to cost."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psutil

from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.engines.networks import cache
from roadmask.engines.threads import default_threads
from roadmask.streaming.batch.outcome import DriveOutcome, Notes
from roadmask.streaming.batch.recording import DriveTask
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import CameraProgress
from roadmask.streaming.results_json import describe_machine
from roadmask.streaming.store import summarize_drive

SAMPLE_FRAMES = 24
"""Frames that are recorded to measure this machine: three files of labels at 1080p."""
WORKER_BYTES = 2 * 2**30
"""Memory a worker is given room for when the number of workers is chosen."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedDrive:
    """One drive of a plan."""

    task: DriveTask
    frames: int | None = None
    """Of all cameras, where the files state it."""
    seconds: float | None = None
    """Length of its longest camera, where the files state it."""
    image_size: tuple[int, int] = (0, 0)
    """Height and width of the first camera's first image."""
    finished: DriveOutcome | None = None
    """Its outcome, if it was finished before."""
    problem: str = ""
    """Why it cannot be read."""

    @property
    def state(self) -> str:
        """Returns finished, broken, interrupted or new."""
        if self.finished:
            return "finished"
        if self.problem:
            return "broken"
        return "interrupted" if Notes(self.task.out).unfinished(self.task.drive.name) else "new"


@dataclass(frozen=True)
class Cost:
    """What a frame costs on this machine."""

    seconds: float
    """Of one worker."""
    stored_bytes: float
    files: float
    source: str
    """Where the figures come from."""


@dataclass(frozen=True)
class Estimate:
    """What is still to be done, and what it should cost."""

    frames: int
    seconds: float
    """On the clock on the wall, with all workers busy."""
    stored_bytes: int
    files: int
    free_bytes: int
    """Room where the stores go."""
    source: str
    unknown: int
    """Drives whose length is not stated, which are left out."""

    @property
    def fits(self) -> bool:
        """Whether there is room for the stores."""
        return self.stored_bytes < self.free_bytes


def plan_drives(tasks: Sequence[DriveTask]) -> list[PlannedDrive]:
    """Looks at every drive that is not finished: length and first image, without reading the files through."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(_plan, tasks))


def _plan(task: DriveTask) -> PlannedDrive:
    try:
        finished = task.finished_before()
        if finished is not None:
            size = (finished.height, finished.width)
            return PlannedDrive(task, finished.frames, finished.video_s, size, finished)
        frames, seconds, sizes = 0, 0.0, []
        known = True
        for job in task.drive.jobs():
            source = job.open()
            try:
                sizes.append(next((item.image_size for item in source if isinstance(item, Frame)), (0, 0)))
                expected = source.frames_expected
                known &= expected is not None
                kept = min(expected or 0, task.config.max_frames or expected or 0)
                frames += kept
                seconds = max(seconds, kept / (source.fps or 25.0))
            finally:
                source.close()
    except StoreError:  # where finished stores go cannot be reached: no fault of the drive
        raise
    except (RoadmaskError, OSError) as error:
        return PlannedDrive(task, problem=str(error))
    task = replace(task, frames_expected=frames if known else None)
    return PlannedDrive(task, task.frames_expected, seconds if known else None, sizes[0])


def workers_for(drives: int, cores: int, memory_bytes: int, threads: int | None) -> tuple[int, int]:
    """Returns how many workers to run, and with how many threads each.

    The engine's last digits depend on its threads. Unless they are given they are those of `roadmask run`, one for each
    core, so that the stores are the same; fewer threads make room for more workers.
    """
    threads = threads or cores
    return max(1, min(drives, cores // threads, memory_bytes // WORKER_BYTES)), threads


def this_machine() -> tuple[int, int]:
    """Returns physical cores and the bytes of memory that are free."""
    return default_threads(), int(psutil.virtual_memory().available)


def estimate(plan: Sequence[PlannedDrive], workers: int) -> Estimate | None:
    """Estimates what is left to do; None when there is nothing that can be read.

    A frame's cost comes from drives with the same settings that were finished in the same folder; else from a sample
    that is recorded now, or was recorded before on a machine of this kind.
    """
    open_drives = [drive for drive in plan if not drive.finished and not drive.problem]
    if not open_drives:
        return None
    costs: dict[tuple[int, int], Cost] = {}
    frames, seconds, stored, files = 0, 0.0, 0.0, 0.0
    for size in dict.fromkeys(drive.image_size for drive in open_drives):
        alike = [drive for drive in plan if drive.image_size == size]
        cost = _known_cost(alike) or _sample(next(drive for drive in alike if drive in open_drives))
        costs[size] = cost
        count = sum(drive.frames or 0 for drive in alike if drive in open_drives)
        frames += count
        seconds += count * cost.seconds
        stored += count * cost.stored_bytes
        files += count * cost.files
    longest = max((drive.frames or 0) * costs[drive.image_size].seconds for drive in open_drives)
    return Estimate(
        frames,
        max(seconds / workers, longest),
        round(stored),
        round(files),
        _free_bytes(plan[0].task.out),
        "; ".join(dict.fromkeys(cost.source for cost in costs.values())),
        sum(drive.frames is None for drive in open_drives),
    )


def _known_cost(alike: Sequence[PlannedDrive]) -> Cost | None:
    done = [drive.finished for drive in alike if drive.finished and drive.finished.frames and drive.finished.seconds]
    if not done:
        return None
    return Cost(
        median(outcome.seconds / outcome.frames for outcome in done),
        sum(outcome.stored_bytes for outcome in done) / sum(outcome.frames for outcome in done),
        sum(outcome.files for outcome in done) / sum(outcome.frames for outcome in done),
        f"{len(done)} finished drives",
    )


def _sample(drive: PlannedDrive) -> Cost:
    """Records the first frames of a drive and times all but the start."""
    task = drive.task
    info = task.segmenter().info
    what = json.dumps(
        [
            describe_machine()["processor"],
            *(info.engine, info.weights_sha256, info.precision, task.threads),
            *(drive.image_size, task.made_of()["config"]),
        ],
        sort_keys=True,
    )
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    path = cache.subfolder("batch") / f"{key}.json"
    try:
        return Cost(**json.loads(path.read_text()), source="a sample recorded before")
    except (OSError, ValueError, TypeError):
        pass  # none yet
    config = replace(task.config, max_frames=min(SAMPLE_FRAMES, task.config.max_frames or SAMPLE_FRAMES))
    seen: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sample.zarr"

        def look(progress: dict[str, CameraProgress]) -> None:
            frames = sum(camera.frames for camera in progress.values())
            if frames:  # not before the engine is built
                seen.append((time.monotonic(), frames))

        record_drive(task.drive.jobs(), out, config, build=task.segmenter, on_progress=look)
        ended = time.monotonic()
        summary = summarize_drive(out)
        files = sum(1 for file in out.rglob("*") if file.is_file())
    frames = max(summary.frames, 1)
    timed = max(seen[-1][1] - seen[0][1], 1) if seen else 1
    figures = {
        "seconds": (ended - seen[0][0]) / timed if seen else 0.0,
        "stored_bytes": summary.stored_bytes / frames,
        "files": files / frames,
    }
    if info.engine != "scripted":
        cache.write_atomically(path, json.dumps(figures).encode())
    return Cost(**figures, source=f"{frames} frames recorded now")


def _free_bytes(out: Path) -> int:
    existing = next(folder for folder in (out, *out.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def require_room(expected: Estimate, out: Path) -> None:
    """Refuses to begin what the disk cannot hold.

    Raises:
        StoreError: the stores would not fit.
    """
    if not expected.fits:
        raise StoreError(
            f"the stores would take about {expected.stored_bytes / 1e9:.1f} GB, {out} has "
            f"{expected.free_bytes / 1e9:.1f} GB left: make room, choose another --out, or add --force."
        )
    if expected.stored_bytes > 0.8 * expected.free_bytes:
        _log.warning("the stores will take more than four fifths of what is free at %s", out)
