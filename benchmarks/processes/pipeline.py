"""One arrangement of the live pipeline, run as a module of its own: prints its record as the last line.

It takes a frame of each camera from its reader to its recorder, one at a time, as `CameraCoordinator` does; stages
without a process of their own run in threads of this one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray

from benchmarks.processes.measuring import Arrangement, ProcessBenchmark
from roadmask.engines import Segmenter
from roadmask.evaluation.speed.scripted import waiting_segmenter
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.actors import RecorderActor, SegmenterActor
from roadmask.streaming.live.batching import LiveBatcher
from roadmask.streaming.live.settings import LiveSettings, RecorderSettings
from roadmask.streaming.live.store_sink import FLOOR_BYTES
from roadmask.streaming.ray_actors import Actor, ray_session, start_actor
from roadmask.streaming.segmentation import build_segmenter, segment_each
from roadmask.streaming.sources.live.address import Address, parse_live_sources
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.decoder import LiveDecoder
from roadmask.streaming.sources.live.protocol import FrameNote
from roadmask.streaming.sources.live.reader import LiveReader
from roadmask.streaming.store import MaskStore

_NEXT_S = 0.5
_SLEEP_S = 0.005
_WARM_UP_S = 5.0

Next = Callable[[], Coroutine[Any, Any, tuple[FrameNote | None, Any]]]
Segment = Callable[[FrameNote, Any], Coroutine[Any, Any, Any]]
Push = Callable[[Any, Any], Coroutine[Any, Any, Any]]


class ThreadedReader:
    """Reads a camera with its decoder in a thread of this process."""

    def __init__(self, address: Address, counts: Path) -> None:
        self._decoder = LiveDecoder(address, CountsFile(counts), lambda *_: None)
        threading.Thread(target=self._decoder.run, daemon=True).start()

    def next(self, timeout_s: float) -> tuple[FrameNote, Frame] | None:
        """Returns the newest image that was not taken yet; None if there is none in time."""
        return self._decoder.take(timeout_s)


class ReaderActor(Actor):
    """Reads a camera in a process of its own."""

    def open(self, address: Address, counts: Path) -> None:
        """Starts reading."""
        self._reader = LiveReader(address, counts)

    def next(self, timeout_s: float) -> tuple[FrameNote | None, Frame | None]:
        """Returns the newest frame and the note about it."""
        return self._reader.next(timeout_s) or (None, None)


async def value_of(thing: Any) -> Any:
    """Returns what a reference of Ray refers to; anything else as it is."""
    return await thing if isinstance(thing, ray.ObjectRef) else thing


async def reader(arrangement: Arrangement, address: Address, counts: Path) -> Next:
    """Returns what gives the newest frame of a camera."""
    if arrangement.reader:
        handle = start_actor(ReaderActor)
        await handle.open.remote(address, counts)

        async def ask() -> tuple[FrameNote | None, Any]:
            note, frame = handle.next.options(num_returns=2).remote(_NEXT_S)
            return await note, frame

        return ask
    local = LiveReader(address, counts) if arrangement.decoder else ThreadedReader(address, counts)

    def take() -> tuple[FrameNote | None, Any]:
        if (taken := local.next(_NEXT_S)) is None:
            return None, None
        note, frame = taken
        return note, ray.put(frame) if arrangement.needs_ray else frame

    return partial(asyncio.to_thread, take)


async def segmenter(arrangement: Arrangement, build: Callable[[], Segmenter], cameras: int) -> Segment:
    """Returns what gives the instances in a frame."""
    if arrangement.segmenter:
        handle = start_actor(SegmenterActor)
        await handle.open.remote([build], cameras, None, 0)

        async def ask(note: FrameNote, frame: Any) -> Any:
            engine, found = handle.segment.options(num_returns=2).remote(frame, note.monotonic_ns)
            told = await engine
            return None if told.late or told.failure else found

        return ask
    engine = build()
    batcher = LiveBatcher(partial(segment_each, engine), engine.warm_up, cameras)

    async def call(note: FrameNote, frame: Any) -> Any:
        local: Frame = await value_of(frame)
        _, found = await batcher(local.camera, local.image, note.monotonic_ns)
        return found

    return call


async def recorder(arrangement: Arrangement, camera: str, settings: RecorderSettings) -> Push:
    """Returns what tracks, draws and stores a frame."""
    if arrangement.recorder:
        handle = start_actor(RecorderActor)
        await handle.open.remote(camera, settings)

        async def ask(frame: Any, found: Any) -> Any:
            return await handle.push.remote(frame, found, Ledger(), settings.show)

        return ask
    local = await asyncio.to_thread(settings.recorder, camera)

    async def call(frame: Any, found: Any) -> Any:
        here, instances = await value_of(frame), await value_of(found)
        return await asyncio.to_thread(partial(local.push, here, instances, Ledger(), show=settings.show))

    return call


async def run(clip: str, benchmark: ProcessBenchmark, arrangement: Arrangement, folder: Path) -> dict[str, Any]:
    """Runs the pipeline and returns its record."""
    config = LiveSettings(RunConfig()).with_threads().config
    waits_ms = benchmark.engine_ms
    build = partial(build_segmenter, config.engine) if waits_ms is None else partial(waiting_segmenter, waits_ms)
    names = {3: "car"} if waits_ms is not None else build().info.class_names
    settings = RecorderSettings(config, names, folder / "drive.zarr", FLOOR_BYTES, None, show=True)
    addresses = parse_live_sources([f"camera{number}=replay:{clip}" for number in range(benchmark.cameras)])
    for address in addresses:
        CountsFile(folder / address.camera, create=True).close()
    segment = await segmenter(arrangement, build, benchmark.cameras)
    pushes = [await recorder(arrangement, address.camera, settings) for address in addresses]
    takes = [await reader(arrangement, address, folder / address.camera) for address in addresses]
    ages: list[tuple[float, float]] = []
    lags: list[tuple[float, float]] = []

    async def carry(take: Next, push: Push) -> None:
        while True:
            note, frame = await take()
            if note is None or (found := await segment(note, frame)) is None:
                continue
            await push(frame, found)
            ages.append((time.monotonic(), (time.monotonic_ns() - note.monotonic_ns) / 1e6))

    async def sleep() -> None:
        while True:
            asked = time.monotonic() + _SLEEP_S
            await asyncio.sleep(_SLEEP_S)
            lags.append((time.monotonic(), (time.monotonic() - asked) * 1e3))

    tasks = [asyncio.create_task(carry(*each)) for each in zip(takes, pushes, strict=True)]
    tasks.append(asyncio.create_task(sleep()))
    while not ages:
        await asyncio.sleep(0.1)
        failed = [task for task in tasks if task.done()]
        if failed:
            await failed[0]
    await asyncio.sleep(_WARM_UP_S)
    start, cpu_s = time.monotonic(), _cpu_s()
    await asyncio.sleep(benchmark.seconds)
    seconds, cpu_s = time.monotonic() - start, _cpu_s() - cpu_s
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    memory = sum(process.memory_full_info().uss for process in tree)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    measured = [age for at, age in ages if start <= at <= start + seconds]
    return {
        "frames_per_second": round(len(measured) / seconds, 1),
        "age_p50_ms": round(float(np.percentile(measured, 50)), 1),
        "age_p95_ms": round(float(np.percentile(measured, 95)), 1),
        "lag_p95_ms": round(float(np.percentile([lag for at, lag in lags if at >= start], 95)), 2),
        "cpu_percent": round(100 * cpu_s / seconds),
        "memory_mb": round(memory / 1e6),
        "processes": len(tree),
    }


def _cpu_s() -> float:
    """Returns the processor time of this process and all below it, seconds."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system
    return total


def main() -> None:
    """Runs what the first argument describes, as JSON."""
    asked = json.loads(sys.argv[1])
    benchmark, arrangement = ProcessBenchmark(**asked["settings"]), Arrangement(**asked["arrangement"])
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="roadmask-pipeline-")))
        store = MaskStore.create(folder / "drive.zarr", class_names={3: "car"}, engine={}, sources={}, config={})
        opened.enter_context(store)
        if arrangement.needs_ray:
            opened.enter_context(ray_session())
        record = asyncio.run(run(asked["clip"], benchmark, arrangement, folder))
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it ended
                if "roadmask.streaming.sources.live.decoder_process" in process.cmdline():
                    process.kill()
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
