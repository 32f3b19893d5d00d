"""Records a drive: probed cameras in, a finished store out. What `roadmask run` and the demos call."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.errors import ConfigError, EngineError, InputError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.in_process import run_in_process
from roadmask.streaming.recording.jobs import CameraJob, CameraProbe, ProgressCallback, RunResult, probe
from roadmask.streaming.recording.recorder import CameraProgress, CameraResult
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import MaskStore, open_drive, require_nothing
from roadmask.tracking.assignment import load_solver_soon


def probe_cameras(
    jobs: Sequence[CameraJob], config: RunConfig, out: Path, *, resume: bool = False
) -> dict[str, CameraProbe]:
    """Looks at each camera, and at what would be overwritten, before anything is written.

    Raises:
        SourceError: a source cannot be read or holds no image.
        ConfigError: the configuration names a camera that is not there.
        InputError: an overlay cannot be written, or would overwrite a source.
        StoreExistsError: something lies at `out`, and is not to be resumed.
    """
    if not resume:
        require_nothing(out)
    elif out.exists() and any(job.overlay is not None for job in jobs):
        raise InputError(
            "a video cannot be gone on with: resume without --overlay, then draw the whole drive from its store with "
            "roadmask export --to video."
        )
    cameras = [job.camera for job in jobs]
    for named in config.ignore:
        if named != "*" and named not in cameras:
            raise ConfigError(f"a region to ignore is given for camera {named!r}; this run has {', '.join(cameras)}.")
    for job in jobs:
        if job.overlay is not None:
            _check_overlay(job.overlay, jobs, out)
    return {job.camera: probe(job) for job in jobs}


def _check_overlay(overlay: Path, jobs: Sequence[CameraJob], out: Path) -> None:
    from roadmask.streaming.sinks.video_writer import require_writable  # noqa: PLC0415 - PyAV only where it draws

    target = overlay.resolve()
    read = {Path(spec).resolve() for job in jobs for spec in job.specs}
    if target in read or target.parent in read:
        raise InputError(f"the overlay {overlay} would be written over what is read: choose another path.")
    if out.resolve() in (target, *target.parents):
        raise InputError(f"the overlay {overlay} lies where the store is to be written: choose another path.")
    require_writable(overlay)


def record_drive(
    jobs: Sequence[CameraJob],
    probes: dict[str, CameraProbe],
    config: RunConfig,
    out: Path,
    *,
    on_ray: bool = False,
    build: Callable[[], Segmenter] | None = None,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    command: str = "",
    resume: bool = False,
) -> RunResult:
    """Runs all cameras into a store, in this process or on Ray.

    A run that was killed or interrupted and is resumed gives the same bytes as one that was not.

    Args:
        jobs: the cameras.
        probes: what `probe_cameras` saw of them.
        config: what decides the result.
        out: the store to write; must not exist unless it is to be resumed.
        on_ray: spread over processes.
        build: builds the segmenter; the one that `config` asks for if absent.
        on_progress: called often with the progress of each camera.
        stop: set it to end early; what is decided by then is stored.
        command: kept in the store's provenance.
        resume: go on at the last commit of the store that is there; start a new one if there is none.

    Raises:
        EngineError: the segmenter cannot be built, or Ray is missing.
        StoreExistsError: something lies at `out`, and is not to be resumed.
        StoreResumeError: it was begun with other sources, settings, weights or engine.
        StoreError: the store failed; what is committed is safe.
    """
    if on_ray and find_spec("ray") is None:
        raise EngineError(
            "several cameras run on Ray, which is not installed: pip install 'roadmask[ray]', or use --no-ray."
        )
    described = config.describe()
    # Ray would give an actor another default, and with it the reference engine other last digits.
    threads = config.engine.threads or psutil.cpu_count(logical=False) or 1
    config = replace(config, engine=replace(config.engine, threads=threads))
    build = build or partial(build_segmenter, config.engine)
    segmenter = build()
    image_sizes = [seen.image_size for seen in probes.values()]
    info = segmenter.info
    with MaskStore.create(
        out,
        class_names=info.class_names,
        engine=_attributes(info),
        sources={camera: seen.description for camera, seen in probes.items()},
        config=described,
        command=command,
        resume=resume,
    ) as store:
        if store.finished_before:
            return _stored_result(out, jobs)
        if on_ray:
            from roadmask.streaming.recording.on_ray import run_on_ray  # noqa: PLC0415 - Ray is optional, and slow to import

            del segmenter  # the actor has its own
            result = run_on_ray(
                jobs,
                config,
                out,
                build,
                info.class_names,
                image_sizes,
                on_progress=on_progress,
                stop=stop,
                resume=resume,
            )
        else:
            load_solver_soon()  # while the network is compiled, most of which another core does
            for image_size in dict.fromkeys(image_sizes):
                segmenter.warm_up(image_size)
            result = run_in_process(jobs, config, out, segmenter, on_progress=on_progress, stop=stop, resume=resume)
        if result.interrupted:
            store.note("interrupted", why="asked to stop")
        return result


def _stored_result(out: Path, jobs: Sequence[CameraJob]) -> RunResult:
    """Returns what a finished store says of the run that made it."""
    drive = open_drive(out)
    results = []
    for job in jobs:
        camera = drive[job.camera]
        tracks = Counter(track.category_id for track in camera.tracks())
        progress = CameraProgress(camera.ledger.accounted, dict(tracks))
        results.append(CameraResult(job.camera, camera.ledger, progress, {}))
    return RunResult(results, finished_before=True)


def _attributes(info: SegmenterInfo) -> dict[str, Any]:
    attributes = dataclasses.asdict(info)
    del attributes["class_names"]  # the store has them at its top
    return attributes
