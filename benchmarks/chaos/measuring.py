"""Breaks a live run in every way that is known, one after the other, and measures how it recovers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chaos.faults import FAULTS, SMALL_DISK_BYTES, Stage
from roadmask.engines import Segmenter
from roadmask.engines.errors import InputError
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.store import check_drive

_START_S, _RECOVER_S = 90.0, 60.0
"""Time limits for the cameras to come up and to recover, seconds."""


@dataclass(frozen=True)
class ChaosSettings:
    """Durations of the phases of each fault."""

    calm_s: float = 10.0
    """Seconds before each fault, which are the baseline."""
    broken_s: float = 10.0
    """Seconds from the fault to its end, if it has one."""
    steady_s: float = 2.0
    """Seconds after the camera has recovered."""


def run_chaos(
    clip: Path,
    small_clip: Path,
    settings: ChaosSettings,
    *,
    faults: Sequence[str] = tuple(FAULTS),
    build: Callable[[], Segmenter] | None = None,
    folder: Path | None = None,
) -> list[dict[str, Any]]:
    """Runs four cameras and breaks them, in one way after the other.

    Args:
        clip: H.264 in MP4, what the cameras see.
        small_clip: another one, of another size.
        settings: durations of the phases.
        faults: which of `FAULTS`.
        build: builds the segmenter; `lite` if None.
        folder: where to work, on a small disk for the fault `disk_full`, which is left out elsewhere; a temporary one
            if None.

    Returns:
        Records of fault, camera, recovered_s (from the end of the cause, or from the kill, to an image with masks that
        was taken after it), lost_REASON for each reason, others_p95_ratio (age of the other cameras' images, during
        the fault and before it), reports, unbalanced (reports whose ledger did not add up) and stored_ok.

    Raises:
        InputError: a fault is unknown.
    """
    for fault in faults:
        if fault not in FAULTS:
            raise InputError(f"unknown fault {fault!r}: expected {', '.join(FAULTS)}.")
    with _working(folder) as work:
        if shutil.disk_usage(work).total > SMALL_DISK_BYTES:
            faults = [fault for fault in faults if fault != "disk_full"]
        stage = Stage(work, clip, small_clip, build)
        try:
            stage.run.until(lambda: stage.run.live("rtsp", "udp", "calm"), _START_S, "the cameras to come up")
            records = [_break(stage, fault, settings) for fault in faults]
            result = stage.run.stop()
        finally:
            stage.close()
        report = check_drive(stage.store)
        exact = all(camera.problem is None and _exact(camera.ledger) for camera in result.cameras)
        return [
            record
            | {"reports": stage.run.reported, "unbalanced": len(stage.run.unbalanced)}
            | {"stored_ok": report.ok and exact, "problem": str(report.problems[0]) if report.problems else ""}
            for record in records
        ]


def _break(stage: Stage, fault: str, settings: ChaosSettings) -> dict[str, Any]:
    run, camera = stage.run, FAULTS[fault]
    others = [name for name in ("rtsp", "udp", "calm") if name != camera]
    calm_ns = time.monotonic_ns()
    time.sleep(settings.calm_s)
    lost_before = _lost(run, camera)
    broken_ns = time.monotonic_ns()
    mend = getattr(stage, fault)()
    if fault == "disk_full":
        run.until(lambda: not run.reports[-1].storing, _RECOVER_S, "storing to stop")
    if mend is not None:
        time.sleep(settings.broken_s)
        mend()
    mended_ns = time.monotonic_ns()
    if fault == "disk_full":
        recovered_s = run.until(lambda: run.reports[-1].storing, _RECOVER_S, "storing to go on")
    else:
        recovered_s = run.until(lambda: run.fresh(camera, mended_ns), _RECOVER_S, f"{camera} after {fault}")
    ended_ns = time.monotonic_ns()
    time.sleep(settings.steady_s)
    lost = {reason: count - lost_before.get(reason, 0) for reason, count in _lost(run, camera).items()}
    before, during = _p95(run, others, calm_ns, broken_ns), _p95(run, others, broken_ns, ended_ns)
    return {
        "fault": fault,
        "camera": camera,
        "recovered_s": round(recovered_s, 2),
        **{f"lost_{reason}": count for reason, count in sorted(lost.items()) if count},
        "others_p95_ms_before": before,
        "others_p95_ms": during,
        "others_p95_ratio": None if before is None or during is None else round(during / before, 2),
    }


def _lost(run: ObservedRun, name: str) -> dict[str, int]:
    camera = run.camera(name)
    if camera is None:
        return {}
    return dict(camera.ledger.dropped) | dict(camera.ledger.failed)


def _p95(run: ObservedRun, cameras: Sequence[str], start_ns: int, end_ns: int) -> float | None:
    ages = [each.age_ms for each in list(run.shown) if each.camera in cameras and start_ns <= each.shown_ns <= end_ns]
    return round(float(np.percentile(ages, 95)), 1) if ages else None


def _exact(ledger: Any) -> bool:
    return bool(ledger.captured == ledger.accounted)


@contextmanager
def _working(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="roadmask-chaos-") as made:
        yield Path(made)
