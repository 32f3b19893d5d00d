"""Plans the drives of a batch and estimates their cost."""

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
from roadmask.streaming.batch.drive_worker import DriveTask
from roadmask.streaming.batch.outcome import DriveOutcome, Notes
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import CameraProgress
from roadmask.streaming.results_json import describe_machine
from roadmask.streaming.store import summarize_drive

SAMPLE_FRAMES = 24
"""Number of frames that are recorded to measure this machine: three files of id maps at 1080p."""
WORKER_BYTES = 2 * 2**30
"""Memory in bytes that is reserved for each worker when their number is chosen."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedDrive:
    """One drive of a plan."""

    task: DriveTask
    """What a worker is given."""
    frames: int | None = None
    """Number of frames of all cameras; None if the files do not state it."""
    seconds: float | None = None
    """Length of the longest camera in seconds; None if the files do not state it."""
    image_size: tuple[int, int] = (0, 0)
    """Height and width of the first camera's first image in pixels."""
    finished: DriveOutcome | None = None
    """Outcome of the drive if it was finished before, else None."""
    problem: str = ""
    """Why the drive cannot be read; empty if it can."""

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
    """Cost of a frame on this machine."""

    seconds: float
    """Time of one worker in seconds."""
    stored_bytes: float
    """Size in the store in bytes."""
    files: float
    """Number of files in the store."""
    source: str
    """How the figures were measured, for people."""


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of the unfinished drives."""

    frames: int
    """Number of frames to record."""
    seconds: float
    """Duration in seconds with all workers busy."""
    stored_bytes: int
    """Size of the stores in bytes."""
    files: int
    """Number of files of the stores."""
    free_bytes: int
    """Free space in the folder of the stores in bytes."""
    source: str
    """How the cost of a frame was measured, for people."""
    unknown: int
    """Number of drives whose length is not stated; they are not included."""

    @property
    def fits(self) -> bool:
        """Whether the free space is enough for the stores."""
        return self.stored_bytes < self.free_bytes


def plan_drives(tasks: Sequence[DriveTask]) -> list[PlannedDrive]:
    """Reads length and first image of every unfinished drive."""
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
    except StoreError:  # the destination cannot be reached: no fault of the drive
        raise
    except (RoadmaskError, OSError) as error:
        return PlannedDrive(task, problem=str(error))
    task = replace(task, frames_expected=frames if known else None)
    return PlannedDrive(task, task.frames_expected, seconds if known else None, sizes[0])


def workers_for(drives: int, cores: int, memory_bytes: int, threads: int | None) -> tuple[int, int]:
    """Returns the number of workers and the number of threads of each.

    The last digits of the engine's results depend on its number of threads. By default it is that of `roadmask run`,
    one for each core, so that the stores are equal to its stores. Fewer threads leave cores for more workers.
    """
    threads = threads or cores
    return max(1, min(drives, cores // threads, memory_bytes // WORKER_BYTES)), threads


def this_machine() -> tuple[int, int]:
    """Returns the number of physical cores and the available memory in bytes."""
    return default_threads(), int(psutil.virtual_memory().available)


def estimate(plan: Sequence[PlannedDrive], workers: int) -> Estimate | None:
    """Estimates the cost of the unfinished drives; returns None if there is none that can be read.

    The cost of a frame comes from drives that were finished in the same folder with the same settings. If there are
    none, it comes from a sample that is recorded now, or was recorded before on the same kind of machine.
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
    """Records the first frames of a drive and measures them without the start of the engine."""
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
    name = f"batch/{key}.json"
    try:
        return Cost(**json.loads((cache.folder() / name).read_text()), source="a sample recorded before")
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
        cache.remember(name, json.dumps(figures).encode())
    return Cost(**figures, source=f"{frames} frames recorded now")


def _free_bytes(out: Path) -> int:
    existing = next(folder for folder in (out, *out.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def require_room(expected: Estimate, out: Path) -> None:
    """Checks that the stores fit on the disk.

    Raises:
        StoreError: they do not.
    """
    if not expected.fits:
        raise StoreError(
            f"the stores need about {expected.stored_bytes / 1e9:.1f} GB, {out} has {expected.free_bytes / 1e9:.1f} GB "
            "free: make room, choose another --out, or add --force."
        )
    if expected.stored_bytes > 0.8 * expected.free_bytes:
        _log.warning("the stores will use more than 80 %% of the free space of %s", out)
