"""Records a drive: the sources of its cameras in, a finished store out. The library call behind `roadmask run`."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.errors import ConfigError, EngineError, InputError
from roadmask.engines.threads import default_threads
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.in_process import run_in_process
from roadmask.streaming.recording.jobs import (
    CameraJob,
    ProbedCamera,
    SinkFactory,
    Sources,
    aligned,
    camera_jobs,
    no_sinks,
)
from roadmask.streaming.recording.result import CameraProgress, CameraResult, ProgressCallback, RunResult
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import MaskStore, open_drive, require_nothing


def record_drive(
    sources: Sources,
    out: Path | str,
    config: RunConfig | None = None,
    *,
    overlay: Path | str | None = None,
    sinks: SinkFactory = no_sinks,
    build: Callable[[], Segmenter] | None = None,
    on_ray: bool = False,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    command: str = "",
    resume: bool = False,
) -> RunResult:
    """Segments, tracks and stores recorded cameras.

    Every camera is looked at before anything is written. A run that was killed or interrupted and is resumed stores the
    same bytes as one that was not; so do runs in one process and on Ray.

    Example::

        result = record_drive({"front": "drive.mp4"}, "drive.zarr")
        print(result.cameras[0].ledger)

    Args:
        sources: one source; or camera name -> source or list of chapters; or a list of sources as `roadmask run` takes
            them, or of jobs.
        out: the store to write; must not exist unless it is to be resumed.
        config: the settings that decide the result; the defaults if None.
        overlay: video to draw the tracks into; with several cameras `out.mp4` becomes one `out.NAME.mp4` for each.
        sinks: makes further sinks for each camera, given its name; those of a job stay.
        build: builds the segmenter; the one that `config` asks for if None.
        on_ray: spread the work over processes.
        on_progress: called with the progress of each camera: before anything is written, then several times a second.
        stop: set it to end the run early; what is resolved by then is stored, and the run can be resumed.
        command: the command line to keep in the store's provenance.
        resume: continue at the last commit of the store at `out`; start a new one if there is none.

    Raises:
        SourceError: a source cannot be read or holds no image.
        ConfigError: the configuration names a camera that the run does not have.
        InputError: a camera's name cannot be used, or an overlay cannot be written or would overwrite a source.
        EngineError: the segmenter cannot be built, or Ray is missing.
        StoreExistsError: something exists at `out`, and is not to be resumed.
        StoreResumeError: the store was created with other sources, settings, weights or another engine.
        StoreError: the store failed; what is committed is safe.
        RunError: a process of the run died; what is committed is safe.
    """
    out, config = Path(out), config or RunConfig()
    jobs = camera_jobs(sources, None if overlay is None else Path(overlay), sinks)
    _require_writable(jobs, config, out, resume=resume)
    if on_ray and find_spec("ray") is None:
        raise EngineError(
            "several cameras run on Ray, which is not installed: pip install 'roadmask[ray]', or use --no-ray."
        )
    with ExitStack() as opened:
        cameras = [opened.enter_context(closing(ProbedCamera(job))) for job in jobs]
        for camera, start_ns in zip(cameras, aligned(cameras), strict=True):
            camera.job = replace(camera.job, start_ns=start_ns)
        lengths = {camera.job.camera: camera.probe.frames_to_read(config.max_frames) for camera in cameras}
        on_progress({name: CameraProgress(frames_expected=length) for name, length in lengths.items()})
        described = config.describe()
        threads = config.engine.threads or default_threads()
        config = replace(config, engine=replace(config.engine, threads=threads))
        build = build or partial(build_segmenter, config.engine)
        segmenter, is_resumed = None if on_ray else build(), resume and out.exists()
        if segmenter is None:
            from roadmask.streaming.recording.on_ray import run_on_ray, segmenter_on_ray  # noqa: PLC0415 - optional

            for camera in cameras:
                camera.close()  # each is opened again by the actor that reads it
            on_actor = opened.enter_context(segmenter_on_ray(build))
            info, run = on_actor.info, partial(run_on_ray, segmenter=on_actor)
        else:
            if not is_resumed:  # a network that cannot be prepared leaves no store behind
                _warm_up(segmenter, cameras)
            info, run = segmenter.info, partial(run_in_process, segmenter=segmenter)
        store = opened.enter_context(
            MaskStore.create(
                out,
                class_names=info.class_names,
                engine=_attributes(info),
                sources={camera.job.camera: camera.probe.description for camera in cameras},
                starts_ns={camera.job.camera: camera.job.start_ns for camera in cameras if camera.job.start_ns},
                config=described,
                command=command,
                resume=resume,
            )
        )
        if store.finished_before:
            return _stored_result(out, jobs)
        if segmenter is not None and is_resumed:
            _warm_up(segmenter, cameras)
        result = run(cameras, config, out, on_progress=on_progress, stop=stop, resume=resume)
        if result.interrupted:
            store.note("interrupted", why="asked to stop")
        return result


def _warm_up(segmenter: Segmenter, cameras: Sequence[ProbedCamera]) -> None:
    for image_size in dict.fromkeys(camera.probe.image_size for camera in cameras):
        segmenter.warm_up(image_size)


def _require_writable(jobs: Sequence[CameraJob], config: RunConfig, out: Path, *, resume: bool) -> None:
    """Checks what would be written and overwritten, before any source is read."""
    if not resume:
        require_nothing(out)
    elif out.exists() and any(job.overlay is not None for job in jobs):
        raise InputError(
            "An overlay video cannot be resumed: run again without --overlay, then draw the video from the finished "
            "store with `roadmask export --to video`."
        )
    cameras = [job.camera for job in jobs]
    for named in config.ignore:
        if named != "*" and named not in cameras:
            raise ConfigError(
                f"expected a camera of this run ({', '.join(cameras)}) for a region to ignore, got {named!r}."
            )
    for job in jobs:
        if job.overlay is not None:
            _require_overlay_writable(job.overlay, jobs, out)


def _require_overlay_writable(overlay: Path, jobs: Sequence[CameraJob], out: Path) -> None:
    from roadmask.streaming.sinks.video_writer import require_writable  # noqa: PLC0415 - PyAV only where it draws

    target = overlay.resolve()
    read = {Path(spec).resolve() for job in jobs for spec in job.specs}
    if target in read or target.parent in read:
        raise InputError(f"the overlay {overlay} would overwrite a source: choose another path.")
    if out.resolve() in (target, *target.parents):
        raise InputError(f"the overlay {overlay} lies inside the store {out}: choose another path.")
    require_writable(overlay)


def _stored_result(out: Path, jobs: Sequence[CameraJob]) -> RunResult:
    """Returns the result of the run that finished a store."""
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
