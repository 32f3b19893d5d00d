"""Records a drive: probed cameras in, a finished store out. What `roadmask run` and the demos call."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from roadmask.engines import SegmenterInfo
from roadmask.engines.errors import ConfigError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.jobs import CameraJob, CameraProbe, ProgressCallback, RunResult, probe
from roadmask.streaming.runner import run_in_process
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import MaskStore


def probe_cameras(jobs: Sequence[CameraJob], config: RunConfig) -> dict[str, CameraProbe]:
    """Looks at each camera before anything is written.

    Raises:
        SourceError: a source cannot be read or holds no picture.
        ConfigError: the configuration names a camera that is not there.
        InputError: an overlay has nowhere to go.
    """
    cameras = [job.camera for job in jobs]
    for named in config.ignore:
        if named != "*" and named not in cameras:
            raise ConfigError(f"a region to ignore is given for camera {named!r}; this run has {', '.join(cameras)}.")
    for job in jobs:
        if job.overlay is not None:
            from roadmask.streaming.video_writer import require_writable  # noqa: PLC0415 - PyAV only where it draws

            require_writable(job.overlay)
    return {job.camera: probe(job) for job in jobs}


def record_drive(
    jobs: Sequence[CameraJob],
    probes: dict[str, CameraProbe],
    config: RunConfig,
    out: Path,
    *,
    on_ray: bool = False,
    on_progress: ProgressCallback = lambda _: None,
    stop: threading.Event | None = None,
    command: str = "",
) -> RunResult:
    """Runs all cameras into a new store, in this process or on Ray.

    Args:
        jobs: the cameras.
        probes: what `probe_cameras` saw of them.
        config: what decides the result.
        out: the store to write; must not exist.
        on_ray: spread over processes.
        on_progress: called often with the progress of each camera.
        stop: set it to end early; everything read so far is stored.
        command: kept in the store's provenance.

    Raises:
        StoreExistsError: something lies at `out`.
        StoreError: the store failed; what is committed is safe.
    """
    segmenter = build_segmenter(config.engine)
    image_sizes = [seen.image_size for seen in probes.values()]
    if not on_ray:
        for image_size in dict.fromkeys(image_sizes):
            segmenter.warm_up(image_size)
    info = segmenter.info
    with MaskStore.create(
        out,
        class_names=info.class_names,
        engine=_attributes(info),
        sources={camera: seen.description for camera, seen in probes.items()},
        config=config.describe(),
        store_config=config.store,
        command=command,
    ):
        if not on_ray:
            return run_in_process(jobs, config, out, segmenter, on_progress=on_progress, stop=stop)
        from roadmask.streaming.ray_runner import run_on_ray  # noqa: PLC0415 - Ray is optional, and slow to import

        del segmenter  # the actor has its own
        build = partial(build_segmenter, config.engine)
        return run_on_ray(jobs, config, out, build, info.class_names, image_sizes, on_progress=on_progress, stop=stop)


def _attributes(info: SegmenterInfo) -> dict[str, Any]:
    attributes = dataclasses.asdict(info)
    del attributes["class_names"]  # the store has them at its top
    return attributes
