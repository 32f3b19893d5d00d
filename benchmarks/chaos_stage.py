"""Breaks a live run in every way that is known, one after the other, and measures how it comes back."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cameras import RtspServer, UdpSender, Wire, free_port
from benchmarks.page_clients import PageClients
from roadmask.engines import Segmenter
from roadmask.engines.errors import InputError
from roadmask.evaluation.speed.clips import lengthened, seconds_of
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive

_LOGIN = ("eve", "correct-horse")
_START_S, _RECOVER_S = 90.0, 60.0
_FLOOR = 4_000_000
_LONG_S = 900


@dataclass(frozen=True)
class ChaosSettings:
    """How long things stay broken."""

    calm_s: float = 10.0
    """Seconds before each fault, which show how things were."""
    broken_s: float = 10.0
    """Seconds from the fault to its end, if it has one."""
    after_s: float = 2.0
    """Seconds to wait once a camera has come back."""


class _Stage:
    """The cameras, the servers behind them, and the run. Each fault is a method that breaks and returns what mends."""

    def __init__(self, folder: Path, clip: Path, small: Path, build: Callable[[], Segmenter] | None) -> None:
        self._opened = ExitStack()
        clips = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="roadmask-clips-")))
        self._long = lengthened(clip, clips / "long.mp4", max(1, round(_LONG_S / seconds_of(clip))))
        self._clip, self._small = clip, small
        self._server = RtspServer(self._long)
        self._locked = RtspServer(self._long, login=(_LOGIN[0], "another-battery"))
        self._wire = self._opened.enter_context(Wire(self._server.port))
        self._udp_port = free_port()
        self._udp = UdpSender([clip], self._udp_port)
        self.store = folder / "store" / "drive.zarr"
        self.store.parent.mkdir(exist_ok=True)
        user, password = _LOGIN
        sources = [
            f"rtsp=rtsp://127.0.0.1:{self._wire.port}/camera",
            f"udp=udp://127.0.0.1:{self._udp_port}",
            f"locked=rtsp://{user}:{password}@127.0.0.1:{self._locked.port}/camera",
            f"calm=replay:{self._long}",
        ]
        settings = LiveSettings(floor_bytes=_FLOOR)
        self._page = self._opened.enter_context(LivePage(PageAddress("127.0.0.1", 0)))
        builds = None if build is None else [build]
        run = ObservedRun(parse_live_sources(sources), self.store, settings, builds, self._page)
        self.run = self._opened.enter_context(run)

    def close(self) -> None:
        """Ends everything."""
        self._opened.close()
        self._server.close()
        self._locked.close()
        self._udp.close()

    def server_killed(self) -> Callable[[], None]:
        self._server.close()

        def mend() -> None:
            self._server = RtspServer(self._long, self._server.port)

        return mend

    def link_down(self) -> Callable[[], None]:
        return self._line("down")

    def garbage_bytes(self) -> Callable[[], None]:
        return self._line("garbage")

    def frozen_stream(self) -> Callable[[], None]:
        self._server.freeze()
        return self._server.thaw

    def resolution_change(self) -> None:
        self._send([self._small], 0)

    def clock_jump(self) -> None:
        self._send([self._clip], 1000)

    def wrong_password(self) -> Callable[[], None]:
        def mend() -> None:
            self._locked.close()
            self._locked = RtspServer(self._long, self._locked.port, login=_LOGIN)

        return mend

    def reader_killed(self) -> None:
        os.kill(self.run.run.coordinators["rtsp"].pids["reader"], signal.SIGKILL)

    def writer_killed(self) -> None:
        os.kill(self.run.run.coordinators["rtsp"].pids["recorder"], signal.SIGKILL)

    def segmenter_killed(self) -> None:
        if self.run.run.segmenter_pid is not None:
            os.kill(self.run.run.segmenter_pid, signal.SIGKILL)

    def disk_full(self) -> Callable[[], None]:
        ballast = self.store.parent / "ballast"
        free = shutil.disk_usage(self.store.parent).free
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - _FLOOR // 2, 1))
        return ballast.unlink

    def page_client_stops_reading(self) -> Callable[[], None]:
        return PageClients(self._page.url, 1, reading=False).close

    def ten_page_clients(self) -> Callable[[], None]:
        return PageClients(self._page.url, 10, reading=True).close

    def _line(self, line: Any) -> Callable[[], None]:
        self._wire.line = line

        def mend() -> None:
            self._wire.line = "through"

        return mend

    def _send(self, clips: Sequence[Path], jump_s: float) -> None:
        self._udp.close()
        self._udp = UdpSender(clips, self._udp_port, clock_s=jump_s)


FAULTS: dict[str, str] = {
    "server_killed": "rtsp",
    "link_down": "rtsp",
    "frozen_stream": "rtsp",
    "garbage_bytes": "rtsp",
    "resolution_change": "udp",
    "clock_jump": "udp",
    "wrong_password": "locked",
    "reader_killed": "rtsp",
    "segmenter_killed": "rtsp",
    "writer_killed": "rtsp",
    "page_client_stops_reading": "calm",
    "ten_page_clients": "calm",
    "disk_full": "calm",
}
"""Fault -> the camera that it hits."""
OWN_KILLED = ("reader_killed", "segmenter_killed", "writer_killed")
"""Faults that kill a process of ours."""
SMALL_DISK_BYTES = 2 * 10**9
"""`disk_full` fills the disk it works on, which is done to no disk larger than this."""


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
        settings: how long things stay broken.
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
        stage = _Stage(work, clip, small_clip, build)
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


def _break(stage: _Stage, fault: str, settings: ChaosSettings) -> dict[str, Any]:
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
    time.sleep(settings.after_s)
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
