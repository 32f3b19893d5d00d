"""Cost of a run beside its engine: throughput against the engine alone, processor time per frame, memory growth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from roadmask.engines import Image, Instances, ScriptedSegmenter, Segmenter
from roadmask.engines.errors import InputError
from roadmask.engines.threads import default_threads
from roadmask.evaluation.speed.looped import LoopedSource
from roadmask.evaluation.speed.object_store import object_store, require_grpc
from roadmask.evaluation.speed.timing import median
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.recording.result import CameraProgress, ProgressCallback
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.sources import open_camera

_CAMERA = "camera"
STEADY_FROM = 200
"""Number of frames after which a run has allocated all it needs."""


@dataclass(frozen=True)
class RunBenchmark:
    """Settings of the benchmark."""

    weights: str = "lite"
    on_ray: bool = False
    frames: int = 100
    """Number of frames of the clip."""
    rounds: int = 3
    """Number of turns of the run and of the engine alone."""
    replayed: int = 400
    """Number of frames of the looped clip that are recorded with replayed instances."""
    detect_every: int = 1
    """Number of frames of the run from one detection to the next; the engine alone segments every frame."""


def benchmark_run(source: str, settings: RunBenchmark, build: Callable[[], Segmenter] | None = None) -> dict[str, Any]:
    """Measures a run of one camera.

    First the run and its engine alone take turns on the same frames. The engine alone gets images that lie decoded in
    memory; on Ray it runs in this process and that of the run in its own, built alike. A run is timed from the first
    frames it tells of to its end, with the last commit.

    Then the clip, looped, is recorded by a segmenter that only replays what the engine found in each frame; decoding,
    encoding of masks, tracking and storing are real. Processor time is that of this process and all below it between
    the first steady frame and the last that was told of. Memory is their unique set size and what they map
    of /dev/shm.

    Args:
        source: as `roadmask run` takes them.
        settings: how.
        build: builds the segmenter; that of the weights if absent.

    Returns:
        A record of source, weights, engine, ray, detect_every, frames, fps, engine_fps, ratio (the median of the
        rounds'), replayed, steady_from (the frame that the following count from), overhead_cpu_ms (a frame),
        uss_growth_mb, spilled_bytes (None without Ray) and mean_instances.

    Raises:
        SourceError: the source cannot be read.
        InputError: it has too few frames to measure.
        EngineError: the segmenter cannot be built, or Ray is missing.
    """
    if settings.on_ray:
        require_grpc()
    config = RunConfig(engine=EngineConfig(weights=settings.weights, threads=default_threads()))
    config = replace(config, detect_every=settings.detect_every)
    build = build or partial(build_segmenter, config.detection)
    segmenter = build()
    images = _decoded(source, settings.frames)
    segmenter.warm_up((images[0].shape[0], images[0].shape[1]))
    found = [instances for image in images for instances in segmenter([image])]
    replay = partial(ScriptedSegmenter, Replay(found, settings.detect_every), classes=config.engine.classes)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="roadmask-bench-")))
        if settings.on_ray:
            opened.enter_context(_ray_session())
        fps, engine_fps = [], []
        for n in range(settings.rounds):
            run = partial(build) if settings.on_ray else partial(_same, segmenter)
            fps.append(_fps(source, len(images), config, folder / f"{n}.zarr", run, on_ray=settings.on_ray))
            start = time.perf_counter()
            for image in images:
                segmenter([image])
            engine_fps.append(len(images) / (time.perf_counter() - start))
        watch = _Watch(settings.replayed)
        opener = partial(LoopedSource, period=len(images), total=settings.replayed)
        _record(source, config, folder / "replayed.zarr", replay, watch, opener=opener, on_ray=settings.on_ray)
        spilled = object_store().spilled_bytes if settings.on_ray else None
    return {
        "source": Path(source).name,
        "weights": settings.weights,
        "engine": segmenter.info.engine,
        "ray": settings.on_ray,
        "detect_every": settings.detect_every,
        "frames": len(images),
        "fps": median(fps),
        "engine_fps": median(engine_fps),
        "ratio": median([ours / alone for ours, alone in zip(fps, engine_fps, strict=True)]),
        "mean_instances": round(sum(map(len, found)) / len(found), 3),
        "replayed": settings.replayed,
        "steady_from": watch.steady_frame,
        "overhead_cpu_ms": watch.cpu_ms_a_frame(),
        "uss_growth_mb": watch.growth_mb(),
        "spilled_bytes": spilled,
    }


@dataclass(frozen=True, eq=False)
class Replay:
    """A script that says again what an engine found in each frame of a clip that is looped.

    Masks are handed out as new objects: those of the turn before have kept their run lengths, which the run is to
    compute each time as it does for an engine's.
    """

    found: Sequence[Instances]
    every: int = 1
    """Number of frames from one image that it is given to the next."""

    def __call__(self, _: Image, number: int) -> Instances:
        """Returns the instances of the frame."""
        instances = self.found[number * self.every % len(self.found)]
        return instances if instances.masks is None else replace(instances, masks=replace(instances.masks))


def _same(segmenter: Segmenter) -> Segmenter:
    return segmenter


def _decoded(source: str, frames: int) -> list[Image]:
    with open_camera(_CAMERA, [source]) as opened:
        images = [item.image for item in islice(opened, frames) if isinstance(item, Frame)]
    if len(images) < min(frames, 4):
        raise InputError(
            f"expected at least {min(frames, 4)} frames in {source}, got {len(images)}: use a longer clip."
        )
    return images


def _record(
    source: str,
    config: RunConfig,
    out: Path,
    build: Callable[[], Segmenter],
    on_progress: ProgressCallback,
    *,
    opener: Callable[..., Any] = open_camera,
    on_ray: bool,
) -> None:
    jobs = [CameraJob(_CAMERA, (source,), opener=opener)]
    record_drive(jobs, out, config, on_ray=on_ray, build=build, on_progress=on_progress)


def _fps(
    source: str, frames: int, config: RunConfig, out: Path, build: Callable[[], Segmenter], *, on_ray: bool
) -> float:
    begun: list[tuple[int, float]] = []

    def look(progress: dict[str, CameraProgress]) -> None:
        done = progress[_CAMERA].frames
        if done and not begun:
            begun.append((done, time.perf_counter()))

    _record(source, replace(config, max_frames=frames), out, build, look, on_ray=on_ray)
    ended = time.perf_counter()
    if not begun or begun[0][0] >= frames:
        raise InputError(f"{frames} frames are over before they can be timed: use more --frames.")
    done, start = begun[0]
    return (frames - done) / (ended - start)


class _Watch:
    """Looks at a run's processes once it is steady, and each time it tells of progress after that."""

    def __init__(self, total: int) -> None:
        self._from = min(STEADY_FROM, total // 4)
        self._total = total
        self.steady_frame: int | None = None
        self._last_frame = 0
        self._cpu_s = [0.0, 0.0]
        self._bytes: list[int] = []

    def __call__(self, progress: dict[str, CameraProgress]) -> None:
        done = progress[_CAMERA].frames
        if done >= self._from and self.steady_frame is None:
            self.steady_frame = done
            self._bytes.append(_memory_bytes())
            self._cpu_s[0] = _cpu_s()  # after looking at memory, which takes its time
        elif self.steady_frame is not None and done > self._last_frame and (done == self._total or not done % 50):
            self._cpu_s[1], self._last_frame = _cpu_s(), done
            if done == self._total:
                self._bytes.append(_memory_bytes())

    def cpu_ms_a_frame(self) -> float | None:
        """Returns the processor time of a frame in milliseconds; None where the run was over too soon."""
        if self.steady_frame is None or self._last_frame <= self.steady_frame:
            return None
        taken = self._cpu_s[1] - self._cpu_s[0]
        return round(taken * 1e3 / (self._last_frame - self.steady_frame), 4)

    def growth_mb(self) -> float | None:
        """Returns by how many megabytes memory grew to the last frame; None where that was not seen."""
        return round((self._bytes[1] - self._bytes[0]) / 1e6, 2) if len(self._bytes) == 2 else None


def _processes() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def _cpu_s() -> float:
    seconds = 0.0
    for process in _processes():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return seconds


def _memory_bytes() -> int:
    """Returns what our processes alone hold, with their share of the pages of /dev/shm, where Ray keeps objects."""
    total = 0
    for process in _processes():
        try:
            total += process.memory_full_info().uss
            for entry in process.memory_maps():
                if entry.path.startswith("/dev/shm"):  # noqa: S108
                    # A page that only this process has touched is in its unique set, too.
                    total += entry.pss - entry.private_clean - entry.private_dirty
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total


def _ray_session() -> Any:
    """Starts Ray once for all runs, so that neither its start nor its end is timed."""
    from roadmask.streaming.ray_actors import ray_session  # noqa: PLC0415 - Ray is optional, and slow to import

    return ray_session()
