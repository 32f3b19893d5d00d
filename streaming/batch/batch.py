"""Plans and runs a batch of drives: what `roadmask batch` calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadmask.engines.extras import missing_package
from roadmask.engines.networks.weights import find_weights
from roadmask.streaming.batch.drive_worker import Build, DriveTask
from roadmask.streaming.batch.drives import DriveFiles
from roadmask.streaming.batch.outcome import DriveOutcome, Notes
from roadmask.streaming.batch.plan import PlannedDrive, plan_drives, this_machine, workers_for
from roadmask.streaming.batch.publishing import PublishedFolder
from roadmask.streaming.batch.schedule import BatchView, run_tasks
from roadmask.streaming.batch.workers import LocalWorkers, Workers
from roadmask.streaming.config import RunConfig


@dataclass(frozen=True)
class BatchSettings:
    """How a batch is run. Nothing here changes what is stored."""

    workers: int | None = None
    """Number of drives recorded at the same time; None derives it from cores and memory."""
    ray_address: str | None = None
    """Address of the Ray cluster that records the drives, or `auto`; None uses processes of this machine."""
    build: Build | None = None
    """Builds the segmenter of each worker; None builds the one of the configuration."""
    command: str = ""
    """Command line for the stores' provenance, without credentials."""
    destination: str = ""
    """URL of the published folder, where finished stores and the report are moved to; empty leaves them in `out`."""


@dataclass(frozen=True)
class BatchPlan:
    """What a batch is going to do."""

    out: Path
    """Folder of the stores, absolute."""
    drives: list[PlannedDrive]
    """Drives in natural order of their names."""
    workers: int
    """Number of drives recorded at the same time."""
    threads: int
    """Number of threads of each worker's engine."""
    cpus: int
    """Number of CPUs of a Ray node that each drive occupies."""
    settings: BatchSettings = field(default_factory=BatchSettings)
    """Settings that the plan was made with."""
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Path of a video, or of a folder with images, that is not recorded -> the reason."""


@dataclass(frozen=True)
class BatchResult:
    """Outcome of a batch."""

    out: Path
    """Folder of the stores, absolute."""
    outcomes: list[DriveOutcome]
    """Outcomes of the drives in the order of the plan."""
    started: float
    """Start as Unix time in seconds."""
    seconds: float
    """Duration in seconds."""
    interrupted: bool = False
    """Whether the batch was stopped before every drive had an outcome."""
    out_error: str = ""
    """Why the batch ended because nothing could be written any more; empty if it did not."""
    published_at: str = ""
    """URL of the published folder without credentials; empty if the stores stayed in `out`."""
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Path of a video, or of a folder with images, that was not recorded -> the reason."""

    @property
    def exit_code(self) -> int:
        """Exit code: 0 all frames of all drives stored, 3 a drive failed, 4 nothing can be written, 130 interrupted."""
        if self.out_error:
            return 4
        if self.interrupted:
            return 130
        return 0 if all(outcome.good for outcome in self.outcomes) else 3


def plan_batch(
    drives: Sequence[DriveFiles],
    out: Path,
    config: RunConfig,
    settings: BatchSettings | None = None,
    *,
    left_out: Mapping[Path, str] | None = None,
) -> BatchPlan:
    """Plans a batch: probes the drives and looks up which are finished. Writes nothing.

    Args:
        drives: drives from `find_drives`.
        out: folder of the stores.
        config: configuration of each run.
        settings: how the batch is run.
        left_out: what `find_drives` left out, for the report.

    Raises:
        EngineError: Ray, or the package that the destination needs, is not installed.
        WeightsError: the weights cannot be used.
        StoreError: the destination cannot be reached.
        InputError: no Ray cluster answers, or the URL of the destination is invalid.
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
        "destination": settings.destination,
    }
    tasks = [DriveTask(drive, out, config, threads, **common) for drive in drives]
    return BatchPlan(out, plan_drives(tasks), workers, threads, cpus, settings, left_out or {})


def run_batch(
    plan: BatchPlan,
    *,
    stop: threading.Event | None = None,
    on_change: Callable[[BatchView, DriveOutcome | None], None] = lambda _view, _outcome: None,
) -> BatchResult:
    """Records every unfinished drive of a plan.

    Args:
        plan: plan from `plan_batch`.
        stop: event that ends the batch early when set; the same plan made again resumes it.
        on_change: called several times a second with the progress, and with an outcome when a drive has ended.

    Raises:
        StoreError: the folder of the stores or their destination cannot be written.
    """
    started, clock = time.time(), time.monotonic()
    stop = stop or threading.Event()

    def require_writable() -> None:
        Notes(plan.out).require_writable()
        if plan.settings.destination:
            PublishedFolder(plan.settings.destination).require_writable()

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
        tasks.sort(
            key=lambda task: -(task.frames_expected or 0)
        )  # longest first, so that none is left alone at the end
        workers = _workers(plan)
        try:
            run_tasks(tasks, workers, view, require_writable=require_writable, stop=stop, on_change=on_change)
        finally:
            workers.close()
    outcomes = [view.outcomes[drive.task.drive.name] for drive in plan.drives]
    published_at = str(PublishedFolder(plan.settings.destination)) if plan.settings.destination else ""
    interrupted = any(outcome.status in ("interrupted", "waiting") for outcome in outcomes)
    seconds = time.monotonic() - clock
    return BatchResult(plan.out, outcomes, started, seconds, interrupted, view.out_error, published_at, plan.left_out)


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
