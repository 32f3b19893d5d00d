"""Speed of a live run against its engine alone, and the age of its masks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Segmenter
from roadmask.engines.segmenter import Image
from roadmask.engines.threads import default_threads
from roadmask.evaluation.speed.clips import lengthened, seconds_of
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.evaluation.speed.scripted import waiting_segmenter
from roadmask.streaming.config import RunConfig
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive, open_drive

_START_S = 120.0
_SETTLE_S = 20.0
_IMAGES = 60


@dataclass(frozen=True)
class LiveBenchmark:
    """Settings of the benchmark."""

    cameras: int = 2
    seconds: float = 30.0
    show: bool = False
    """Whether the images of a page are drawn, too."""
    scripted_ms: float | None = None
    """Milliseconds per image of an engine that only waits; None for the real engine."""
    adapt: bool = True
    """Whether the image rate follows the load."""


def benchmark_live(clip: Path, settings: LiveBenchmark) -> dict[str, Any]:
    """Runs replays of a clip as live cameras; times the engine alone right before and right after.

    Returns:
        A record of cameras, seconds, engine_fps (alone, mean of before and after), live_fps (all cameras together),
        ratio, budget_ms, the ages p50_ms, p95_ms and p99_ms when masks are found, those of every stage, gap_p50_ms and
        gap_p95_ms (between one image with masks and the next one of its camera), limit_fps, limit_changes, unbalanced
        (reports whose ledger did not add up) and stored_ok.
    """
    config = RunConfig()
    config = replace(config, engine=replace(config.engine, threads=default_threads()))
    scripted_ms = settings.scripted_ms
    build = partial(build_segmenter, config.engine) if scripted_ms is None else partial(waiting_segmenter, scripted_ms)
    images = _images(clip)
    before = _engine_fps(build, images)
    with tempfile.TemporaryDirectory(prefix="roadmask-live-") as made:
        folder = Path(made)
        length_s = settings.seconds + 2 * _START_S
        long = lengthened(clip, folder / "long.mp4", 1 + round(length_s / seconds_of(clip)))
        names = [f"camera{number}" for number in range(settings.cameras)]
        addresses = parse_live_sources([f"{name}=replay:{long}" for name in names])
        out = folder / "drive.zarr"
        live = LiveSettings(config, adapt=settings.adapt)
        with ObservedRun(addresses, out, live, None if build is None else [build], show=settings.show) as run:
            run.until(lambda: all(_found(run, name) > 5 for name in names), _START_S, "masks of every camera")
            time.sleep(_SETTLE_S)
            began, found = time.monotonic(), sum(_found(run, name) for name in names)
            time.sleep(settings.seconds)
            seconds = time.monotonic() - began
            frames = sum(_found(run, name) for name in names) - found
            report = run.reports[-1]
            run.stop()
        stored_ok = check_drive(out).ok
        gaps_ms = np.concatenate([_gaps_ms(out, name, seconds) for name in names])
    after = _engine_fps(build, images)
    engine_fps = (before + after) / 2
    ages = {
        f"{stage}_p95_ms": round(max(camera.ages[stage].p95_ms for camera in report.cameras), 1)
        for stage in report.cameras[0].ages
    }
    worst = max((camera.ages["engine"] for camera in report.cameras), key=lambda each: each.p95_ms)
    return {
        "cameras": settings.cameras,
        "seconds": round(seconds, 1),
        "engine_fps": round(engine_fps, 2),
        "live_fps": round(frames / seconds, 2),
        "ratio": round(frames / seconds / engine_fps, 3),
        "budget_ms": None if report.budget_ms is None else round(report.budget_ms, 1),
        "p50_ms": round(worst.p50_ms, 1),
        "p95_ms": round(worst.p95_ms, 1),
        "p99_ms": round(worst.p99_ms, 1),
        **ages,
        "gap_p50_ms": round(float(np.percentile(gaps_ms, 50)), 1),
        "gap_p95_ms": round(float(np.percentile(gaps_ms, 95)), 1),
        "limit_fps": None if report.cameras[0].limit_fps is None else round(report.cameras[0].limit_fps, 2),
        "limit_changes": report.cameras[0].limit_changes,
        "shown": settings.show,
        "unbalanced": len(run.unbalanced),
        "stored_ok": stored_ok,
    }


def _found(run: ObservedRun, name: str) -> int:
    """Frames of a camera whose masks were found, as of the newest report."""
    camera = run.camera(name)
    return 0 if camera is None else camera.ledger.stored + camera.watched


def _gaps_ms(out: Path, name: str, seconds: float) -> NDArray[np.float64]:
    """Returns the time from image to image over the last seconds of a store."""
    taken_s = np.concatenate([epoch.timestamp_ns for epoch in open_drive(out)[name].epochs]) / 1e9
    gaps_ms: NDArray[np.float64] = np.diff(taken_s[taken_s > taken_s[-1] - seconds]) * 1e3
    return gaps_ms


def _images(clip: Path) -> list[Image]:
    with av.open(str(clip)) as container:
        frames = islice(container.decode(video=0), _IMAGES)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def _engine_fps(build: Callable[[], Segmenter], images: list[Image]) -> float:
    """One image after the other, as many threads as in the run."""
    segmenter = build()
    segmenter.warm_up((images[0].shape[0], images[0].shape[1]))
    began = time.perf_counter()
    for image in images:
        segmenter([image])
    return len(images) / (time.perf_counter() - began)
