"""The faults: four cameras, the servers behind them, the live run, and one method per way to break it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.cameras import RtspServer, UdpSender, Wire, free_port
from benchmarks.page_clients import PageClients
from roadmask.engines import Segmenter
from roadmask.evaluation.speed.clips import lengthened, seconds_of
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sources.live.address import parse_live_sources

_LOGIN = ("eve", "correct-horse")
_FLOOR = 4_000_000
"""Free bytes below which the run stops storing."""
_LONG_S = 900
"""Length of the clip that the cameras replay, seconds."""


class Stage:
    """The cameras, the servers behind them, and the run. Each fault is a method that returns what ends it."""

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
        """Kills the RTSP server; starts it again to end the fault."""
        self._server.close()

        def mend() -> None:
            self._server = RtspServer(self._long, self._server.port)

        return mend

    def link_down(self) -> Callable[[], None]:
        """Cuts the line to the RTSP server."""
        return self._line("down")

    def garbage_bytes(self) -> Callable[[], None]:
        """Replaces what the RTSP server sends by random bytes."""
        return self._line("garbage")

    def frozen_stream(self) -> Callable[[], None]:
        """Stops the RTSP server without closing its connections."""
        self._server.freeze()
        return self._server.thaw

    def resolution_change(self) -> None:
        """Makes the UDP sender send smaller images."""
        self._send([self._small], 0)

    def clock_jump(self) -> None:
        """Makes the clock of the UDP stream jump by 1,000 seconds."""
        self._send([self._clip], 1000)

    def wrong_password(self) -> Callable[[], None]:
        """Waits while the locked camera refuses the password, as it has since the start; then makes it accept."""

        def mend() -> None:
            self._locked.close()
            self._locked = RtspServer(self._long, self._locked.port, login=_LOGIN)

        return mend

    def decoder_killed(self) -> None:
        """Kills the decoder process of a camera."""
        os.kill(self.run.run.coordinators["rtsp"].pids["decoder"], signal.SIGKILL)

    def writer_killed(self) -> None:
        """Kills the recorder process of a camera."""
        os.kill(self.run.run.coordinators["rtsp"].pids["recorder"], signal.SIGKILL)

    def segmenter_killed(self) -> None:
        """Kills the segmenter process."""
        if self.run.run.segmenter_pid is not None:
            os.kill(self.run.run.segmenter_pid, signal.SIGKILL)

    def disk_full(self) -> Callable[[], None]:
        """Fills the disk that holds the store."""
        ballast = self.store.parent / "ballast"
        free = shutil.disk_usage(self.store.parent).free
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - _FLOOR // 2, 1))
        return ballast.unlink

    def page_client_stops_reading(self) -> Callable[[], None]:
        """Opens a page client that never reads."""
        return PageClients(self._page.url, 1, reading=False).close

    def ten_page_clients(self) -> Callable[[], None]:
        """Opens ten page clients."""
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
    "decoder_killed": "rtsp",
    "segmenter_killed": "rtsp",
    "writer_killed": "rtsp",
    "page_client_stops_reading": "calm",
    "ten_page_clients": "calm",
    "disk_full": "calm",
}
"""Fault -> the camera that it hits."""
OWN_KILLED = ("decoder_killed", "segmenter_killed", "writer_killed")
"""Faults that kill a process of ours."""
SMALL_DISK_BYTES = 2 * 10**9
"""`disk_full` fills the disk it works on, which is done to no disk larger than this."""
