"""Runs live cameras for long, and looks for anything that grows: memory, files, sockets, threads, the object store."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from roadmask.streaming.benchmarks.cameras import lengthened, seconds_of
from roadmask.streaming.benchmarks.observed import ObservedRun
from roadmask.streaming.config import RunConfig
from roadmask.streaming.live.address import parse_live_sources
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.run import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.store import check_drive

_START_S = 180.0
_SAMPLE_S = 5.0


@dataclass(frozen=True)
class SoakSettings:
    """How long, and how much."""

    cameras: int = 4
    minutes: float = 30.0
    settle_minutes: float = 2.0
    """Growth is counted from here on."""
    keep: Keep | None = None


@dataclass(frozen=True)
class _Sample:
    uss: int
    files: int
    threads: int


def run_soak(clip: Path, settings: SoakSettings) -> list[dict[str, Any]]:
    """Replays a clip as several live cameras with store and page.

    Returns:
        A record for each process that lived through: process, uss_mb (unique set size after settling), uss_growth_mb,
        files_growth (descriptors, sockets included) and threads_growth, all as the mean of the last tenth against the
        first tenth after settling; and minutes, frames, unbalanced and stored_ok of the whole run.
    """
    with tempfile.TemporaryDirectory(prefix="roadmask-soak-") as made:
        folder = Path(made)
        length_s = settings.minutes * 60 + _START_S + 60
        long = lengthened(clip, folder / "long.mp4", 1 + round(length_s / seconds_of(clip)))
        names = [f"camera{number}" for number in range(settings.cameras)]
        addresses = parse_live_sources([f"{name}=replay:{long}" for name in names])
        out = folder / "drive.zarr"
        live = LiveSettings(RunConfig(), out, keep=settings.keep)
        with LivePage(PageAddress("127.0.0.1", 0)) as page, ObservedRun(addresses, live, page=page) as run:
            run.until(lambda: run.live(*names), _START_S, "masks of every camera")
            time.sleep(settings.settle_minutes * 60)
            samples = _sample((settings.minutes - settings.settle_minutes) * 60)
            result = run.stop()
        whole = {
            "minutes": settings.minutes,
            "frames": sum(camera.ledger.stored for camera in result.cameras),
            "unbalanced": len(run.unbalanced),
            "stored_ok": check_drive(out).ok and all(camera.problem is None for camera in result.cameras),
        }
    return [_growth(name, taken) | whole for name, taken in sorted(samples.items())]


def _sample(seconds: float) -> dict[str, list[_Sample]]:
    """Looks at this process and all below it until the time is over; gives those that lived through."""
    samples: dict[tuple[int, str], list[_Sample]] = defaultdict(list)
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rounds += 1
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                seen = _Sample(process.memory_full_info().uss, process.num_fds(), process.num_threads())
                samples[process.pid, _role(process)].append(seen)
            except psutil.Error:  # it ended
                continue
        time.sleep(_SAMPLE_S)
    return {f"{role} {pid}": taken for (pid, role), taken in samples.items() if len(taken) == rounds}


def _role(process: psutil.Process) -> str:
    if process.pid == psutil.Process().pid:
        return "the run and its page"
    words: list[str] = process.cmdline()
    title: str = words[0] if words else process.name()
    if "roadmask.streaming.live.decoder_process" in words:
        return "decoder"
    return title.removeprefix("ray::").split(".")[0] if title.startswith("ray::") else str(process.name())


def _growth(name: str, taken: list[_Sample]) -> dict[str, Any]:
    part = max(len(taken) // 10, 1)

    begun, ended = (
        np.mean([(sample.uss / 1e6, sample.files, sample.threads) for sample in samples], axis=0)
        for samples in (taken[:part], taken[-part:])
    )
    uss, files, threads = (ended - begun).round(1).tolist()
    return {
        "process": name,
        "uss_mb": round(float(begun[0]), 1),
        "uss_growth_mb": uss,
        "files_growth": files,
        "threads_growth": threads,
    }
