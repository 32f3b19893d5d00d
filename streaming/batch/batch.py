"""A batch of drives, from their files to stores and a report: what `roadmask batch` calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadmask.engines.extras import missing_package
from roadmask.engines.networks.weights import find_weights
from roadmask.streaming.batch.drives import DriveFiles
from roadmask.streaming.batch.outcome import DriveOutcome, Notes
from roadmask.streaming.batch.plan import PlannedDrive, plan_drives, this_machine, workers_for
from roadmask.streaming.batch.publishing import Shelf
from roadmask.streaming.batch.recording import Build, DriveTask
from roadmask.streaming.batch.schedule import BatchView, run_tasks
from roadmask.streaming.batch.workers import LocalWorkers, Workers
from roadmask.streaming.config import RunConfig


@dataclass(frozen=True)
class BatchSettings:
    """How a batch is run; nothing here changes what is stored."""

    workers: int | None = None
    """Drives at a time; from cores and memory if absent."""
    ray_address: str | None = None
    """Ray cluster to spread over, or `auto`; this machine's processes if absent."""
    build: Build | None = None
    """Builds the segmenter of each worker; the one that the configuration asks for if absent."""
    command: str = ""
    """Kept in the stores' provenance."""
    shelf: str = ""
    """URL that finished stores and the report are moved to; they stay in the folder if empty."""


@dataclass(frozen=True)
class BatchPlan:
    """What a batch is going to do."""

    out: Path
    drives: list[PlannedDrive]
    workers: int
    threads: int
    """Of each worker's engine."""
    cpus: int
    """Of a node of the Ray cluster, for each drive."""
    settings: BatchSettings = field(default_factory=BatchSettings)


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch."""

    out: Path
    outcomes: list[DriveOutcome]
    """In the order of the plan."""
    started: float
    """Unix time in seconds."""
    seconds: float
    interrupted: bool = False
    out_error: str = ""
    """Why nothing can be written any more, if so."""
    kept_at: str = ""
    """Where finished stores were moved to, if not in `out`."""

    @property
    def exit_code(self) -> int:
        """0 every frame of every drive is stored, 3 a drive failed, 4 cannot be written, 130 interrupted."""
        if self.out_error:
            return 4
        if self.interrupted:
            return 130
        return 0 if all(outcome.good for outcome in self.outcomes) else 3


def plan_batch(
    drives: Sequence[DriveFiles], out: Path, config: RunConfig, settings: BatchSettings | None = None
) -> BatchPlan:
    """Looks at the drives, and at what is finished already; writes nothing.

    Raises:
        EngineError: Ray is asked for and not installed, or what the shelf needs is not.
        WeightsError: the weights cannot be used.
        StoreError: the shelf cannot be reached.
        InputError: no Ray cluster answers, or the shelf's URL cannot be understood.
    """
    settings = settings or BatchSettings()
    cores, memory = this_machine()
    workers, threads = workers_for(len(drives), cores, memory, config.engine.threads)
    cpus = threads
    if settings.ray_address is not None:
        nodes = _cluster_cpus(settings.ray_address)
        cpus = min(threads, max(nodes))
        workers = sum(node // cpus for node in nodes)
    workers = min(settings.workers or workers, len(drives))
    out = out.resolve()
    common: dict[str, Any] = {
        "command": settings.command,
        "cwd": str(Path.cwd()),
        "build": settings.build,
        "weights_sha256": find_weights(config.engine.weights).sha256 if settings.build is None else "",
        "shelf": settings.shelf,
    }
    tasks = [DriveTask(drive, out, config, threads, **common) for drive in drives]
    return BatchPlan(out, plan_drives(tasks), workers, threads, cpus, settings)


def run_batch(
    plan: BatchPlan,
    *,
    stop: threading.Event | None = None,
    on_change: Callable[[BatchView, DriveOutcome | None], None] = lambda _view, _outcome: None,
) -> BatchResult:
    """Records every drive of a plan that is not finished.

    Args:
        plan: see `plan_batch`.
        stop: set it to end early; the same plan made again goes on.
        on_change: called often with the progress, and with an outcome when a drive has ended.

    Raises:
        StoreError: the folder of the stores, or where they are moved to, cannot be written.
    """
    started, clock = time.time(), time.monotonic()
    stop = stop or threading.Event()

    def require_writable() -> None:
        Notes(plan.out).require_writable()
        if plan.settings.shelf:
            Shelf(plan.settings.shelf).require_writable()

    require_writable()
    view = BatchView(expected={drive.task.drive.name: drive.frames for drive in plan.drives})
    tasks = []
    for drive in plan.drives:
        name = drive.task.drive.name
        if drive.finished:
            view.outcomes[name] = drive.finished
        elif drive.problem:
            view.outcomes[name] = DriveOutcome(name, "failed", drive.problem)
            on_change(view, view.outcomes[name])
        else:
            tasks.append(drive.task)
    if tasks:
        tasks.sort(key=lambda task: -(task.frames_expected or 0))  # the longest first, so that none is left at the end
        workers = _workers(plan)
        try:
            run_tasks(tasks, workers, view, require_writable=require_writable, stop=stop, on_change=on_change)
        finally:
            workers.close()
    outcomes = [view.outcomes[drive.task.drive.name] for drive in plan.drives]
    kept_at = str(Shelf(plan.settings.shelf)) if plan.settings.shelf else ""
    interrupted = any(outcome.status in ("interrupted", "waiting") for outcome in outcomes)
    return BatchResult(plan.out, outcomes, started, time.monotonic() - clock, interrupted, view.out_error, kept_at)


def _workers(plan: BatchPlan) -> Workers:
    if plan.settings.ray_address is None:
        return LocalWorkers(plan.workers)
    from roadmask.streaming.batch.ray_workers import RayWorkers  # noqa: PLC0415 - Ray is optional, and slow to import

    return RayWorkers(plan.settings.ray_address, plan.cpus, plan.settings.workers)


def _cluster_cpus(address: str) -> list[int]:
    try:
        from roadmask.streaming.batch.ray_workers import cluster_cpus  # noqa: PLC0415 - as above
    except ImportError as error:
        raise missing_package("ray", "spreading drives over a cluster", extra="ray") from error
    return cluster_cpus(address)
