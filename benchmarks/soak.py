"""Runs live cameras for a long time, and looks for anything that grows: memory, files, sockets, threads, objects.

`python -m benchmarks.soak CLIP`
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from numpy.typing import NDArray
from rich.console import Console

from roadmask.cli.app import run_program
from roadmask.cli.bench import show_records
from roadmask.engines.errors import InputError, StoreError
from roadmask.evaluation.speed.clips import lengthened, seconds_of
from roadmask.evaluation.speed.object_store import ObjectStore, object_store, require_grpc
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.live.retention import Retention
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.results_json import write_results
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive

_START_S = 180.0
_SAMPLE_S = 5.0
WHOLE = ("minutes", "frames", "objects_mb", "objects_growth_mb", "spilled_bytes", "unbalanced", "stored_ok")
"""What each record says of the whole run."""


@dataclass(frozen=True)
class SoakSettings:
    """How long, and how much."""

    cameras: int = 4
    minutes: float = 30.0
    warm_up_minutes: float = 2.0
    """Growth is counted from here on."""
    retention: Retention | None = None
    """How much of the store is kept; everything if None."""


@dataclass(frozen=True)
class _Sample:
    uss: int
    files: int
    threads: int


def run_soak(clip: Path, settings: SoakSettings) -> list[dict[str, Any]]:
    """Replays a clip as several live cameras with store and page.

    Returns:
        A record for each process that lived through: process, uss_mb (unique set size after the warm-up),
        uss_growth_mb, files_growth (descriptors, sockets included) and threads_growth, all as the mean of the last
        tenth against the first tenth after the warm-up; and `WHOLE`, of the whole run, in each: minutes, frames,
        objects_mb and objects_growth_mb of Ray's object store, spilled_bytes, unbalanced and stored_ok.

    Raises:
        EngineError: gRPC is missing.
        InputError: nothing would be left after the warm-up.
    """
    require_grpc()
    if settings.minutes <= settings.warm_up_minutes:
        raise InputError(
            f"expected more minutes than the {settings.warm_up_minutes:g} to warm up, got {settings.minutes:g}."
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
            time.sleep(settings.warm_up_minutes * 60)
            samples, held = _sample((settings.minutes - settings.warm_up_minutes) * 60)
            result = run.stop()
        begun, ended = _ends([(store.used_bytes / 1e6,) for store in held])
        whole = {
            "minutes": settings.minutes,
            "frames": sum(camera.ledger.stored for camera in result.cameras),
            "objects_mb": round(float(begun[0]), 1),
            "objects_growth_mb": round(float(ended[0] - begun[0]), 1),
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
            except psutil.Error:  # it ended
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
    begun, ended = _ends([(sample.uss / 1e6, sample.files, sample.threads) for sample in taken])
    uss, files, threads = (ended - begun).round(1).tolist()
    return {
        "process": name,
        "uss_mb": round(float(begun[0]), 1),
        "uss_growth_mb": uss,
        "files_growth": files,
        "threads_growth": threads,
    }


def _ends(samples: list[tuple[float, ...]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the mean of the first and of the last tenth."""
    part = max(len(samples) // 10, 1)
    return np.mean(samples[:part], axis=0), np.mean(samples[-part:], axis=0)


def soak(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1)] = 4,
    minutes: Annotated[float, typer.Option(min=0.5)] = 30.0,
    warm_up: Annotated[float, typer.Option(min=0.1, help="Minutes before growth is counted.")] = 2.0,
    growth_max: Annotated[
        float,
        typer.Option(
            help="Exit 4 if the memory of a process grew by more than this, MB; files and threads: by more than 4."
        ),
    ] = 50.0,
    keep: Annotated[str | None, typer.Option(metavar="2h|50GB", help="As for `roadmask live`.")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the records to this file.")
    ] = None,
) -> None:
    """Runs live cameras with store and page for a long time, and measures how much every process grows.

    Exit codes: 0, or 4 if a process or the object store grew too much, anything was spilled, a ledger did not add up or
    something stored is damaged.
    """
    console = Console(highlight=False)
    retention = None if keep is None else Retention.parse(keep)
    with console.status("Soaking"):
        results = run_soak(clip, SoakSettings(cameras, minutes, warm_up, retention))
    whole = {name: results[0][name] for name in WHOLE}
    show_records(console, "Soak", [whole])
    show_records(console, "Processes", results, leave_out=WHOLE)
    if json is not None:
        write_results(json, results)
    grown = max(whole["objects_growth_mb"], *(record["uss_growth_mb"] for record in results))
    more = max(record[name] for record in results for name in ("files_growth", "threads_growth"))
    if grown > growth_max or more > 4 or whole["spilled_bytes"]:
        raise StoreError("a process or the object store grew, or something was spilled: see the tables.")
    if whole["unbalanced"] or not whole["stored_ok"]:
        raise StoreError("a ledger did not add up, or something stored is damaged: see the tables.")


if __name__ == "__main__":
    run_program(partial(typer.run, soak))
