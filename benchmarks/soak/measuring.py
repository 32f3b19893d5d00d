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
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.evaluation.speed.clips import lengthened, seconds_of
from roadmask.evaluation.speed.object_store import ObjectStore, object_store, require_grpc
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.live.retention import Retention
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive

_START_S = 180.0
_SAMPLE_S = 5.0
WHOLE = ("minutes", "frames", "objects_mb", "objects_growth_mb", "spilled_bytes", "unbalanced", "stored_ok")
"""Fields of each record that describe the whole run."""


@dataclass(frozen=True)
class SoakSettings:
    """Settings of a soak run."""

    cameras: int = 4
    minutes: float = 30.0
    steady_minutes: float = 2.0
    """Minutes after which growth counts."""
    retention: Retention | None = None


@dataclass(frozen=True)
class _Sample:
    uss: int
    files: int
    threads: int


def run_soak(clip: Path, settings: SoakSettings) -> list[dict[str, Any]]:
    """Replays a clip as several live cameras with store and page.

    Returns:
        A record for each process that lived throughout: process, uss_mb (unique set size when steady), uss_growth_mb,
        files_growth (descriptors, sockets included) and threads_growth, all as the mean of the last tenth against the
        first tenth once it is steady; and `WHOLE`, of the whole run, in each: minutes, frames, objects_mb and
        objects_growth_mb of Ray's object store, spilled_bytes, unbalanced and stored_ok.

    Raises:
        EngineError: gRPC is missing.
        InputError: the run ends before it is steady.
    """
    require_grpc()
    if settings.minutes <= settings.steady_minutes:
        raise InputError(
            f"expected --minutes above the {settings.steady_minutes:g} of --steady, got {settings.minutes:g}."
        )
    with tempfile.TemporaryDirectory(prefix="roadmask-soak-") as made:
        folder = Path(made)
        length_s = settings.minutes * 60 + _START_S + 60
        long = lengthened(clip, folder / "long.mp4", 1 + round(length_s / seconds_of(clip)))
        names = [f"camera{number}" for number in range(settings.cameras)]
        addresses = parse_live_sources([f"{name}=replay:{long}" for name in names])
        out = folder / "drive.zarr"
        live = LiveSettings(retention=settings.retention)
        with LivePage(PageAddress("127.0.0.1", 0)) as page, ObservedRun(addresses, out, live, page=page) as run:
            run.until(lambda: run.live(*names), _START_S, "masks of every camera")
            time.sleep(settings.steady_minutes * 60)
            samples, held = _sample((settings.minutes - settings.steady_minutes) * 60)
            result = run.stop()
        first, last = _ends([(store.used_bytes / 1e6,) for store in held])
        whole = {
            "minutes": settings.minutes,
            "frames": sum(camera.ledger.stored for camera in result.cameras),
            "objects_mb": round(float(first[0]), 1),
            "objects_growth_mb": round(float(last[0] - first[0]), 1),
            "spilled_bytes": held[-1].spilled_bytes,
            "unbalanced": len(run.unbalanced),
            "stored_ok": check_drive(out).ok and all(camera.problem is None for camera in result.cameras),
        }
    return [_growth(name, taken) | whole for name, taken in sorted(samples.items())]


def _sample(seconds: float) -> tuple[dict[str, list[_Sample]], list[ObjectStore]]:
    """Looks at this process, all below it and the object store until the time is over; gives who lived through."""
    held: list[ObjectStore] = []
    samples: dict[tuple[int, str], list[_Sample]] = defaultdict(list)
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rounds += 1
        held.append(object_store())
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                seen = _Sample(process.memory_full_info().uss, process.num_fds(), process.num_threads())
                samples[process.pid, _role(process)].append(seen)
            except psutil.Error:  # it last
                continue
        time.sleep(_SAMPLE_S)
    return {f"{role} {pid}": taken for (pid, role), taken in samples.items() if len(taken) == rounds}, held


def _role(process: psutil.Process) -> str:
    if process.pid == psutil.Process().pid:
        return "the run and its page"
    words: list[str] = process.cmdline()
    title: str = words[0] if words else process.name()
    if "roadmask.streaming.sources.live.decoder_process" in words:
        return "decoder"
    return title.removeprefix("ray::").split(".")[0] if title.startswith("ray::") else str(process.name())


def _growth(name: str, taken: list[_Sample]) -> dict[str, Any]:
    first, last = _ends([(sample.uss / 1e6, sample.files, sample.threads) for sample in taken])
    uss, files, threads = (last - first).round(1).tolist()
    return {
        "process": name,
        "uss_mb": round(float(first[0]), 1),
        "uss_growth_mb": uss,
        "files_growth": files,
        "threads_growth": threads,
    }


def _ends(samples: list[tuple[float, ...]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the mean of the first and of the last tenth."""
    part = max(len(samples) // 10, 1)
    return np.mean(samples[:part], axis=0), np.mean(samples[-part:], axis=0)
