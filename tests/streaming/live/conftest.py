"""What the tests of live cameras share: clips, and a decoder that is watched."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.cameras import SYSTEM_PYTHON
from roadmask.streaming.live.address import parse_live_sources
from roadmask.streaming.live.counts import CountsFile
from roadmask.streaming.live.decoder import LiveDecoder, LiveImageAt
from roadmask.streaming.live.reports import CameraState
from support.video_factory import write_clip


class Watched:
    """A decoder in a thread of this process, all its images taken."""

    def __init__(self, source: str, counts: Path) -> None:
        (self.address,) = parse_live_sources([source])
        self.file = CountsFile(counts, create=not counts.exists())
        self.told: list[tuple[CameraState, str]] = []
        self.images: list[LiveImageAt] = []
        self.decoder = LiveDecoder(self.address, self.file, lambda state, detail: self.told.append((state, detail)))
        self._threads = [
            threading.Thread(target=self.decoder.run, daemon=True),
            threading.Thread(target=self._take, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _take(self) -> None:
        while True:
            image = self.decoder.take(0.1)
            if image is not None:
                self.images.append(image)
            elif self.decoder.ended:
                return

    def until(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, (self.told, self.file.read(), len(self.images))
            time.sleep(0.01)

    def said(self, state: CameraState, words: str) -> bool:
        """Whether it was in a state, once at least, and these words said why."""
        return any(told is state and words in detail for told, detail in list(self.told))

    def told_of(self, state: CameraState) -> str | None:
        return next((detail for told, detail in self.told if told is state), None)

    @property
    def state(self) -> CameraState | None:
        return self.told[-1][0] if self.told else None

    def close(self) -> None:
        self.decoder.stop()
        for thread in self._threads:
            thread.join(10)
        counts = self.file.read()
        assert counts.captured == counts.settled + counts.held, counts
        assert counts.handed == len(self.images)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[[str], Watched]]:
    """Starts a decoder on a source; its ledger is checked when the test ends."""
    watched: list[Watched] = []

    def start(source: str) -> Watched:
        watched.append(Watched(source, tmp_path / "camera.counts"))
        return watched[-1]

    yield start
    for each in watched:
        each.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB, which may be filled up."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.strip()}")
    yield folder
    while folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of H.264, an image of its own number each."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", range(25), gop=5, b_frames=0)


@pytest.fixture(scope="session")
def gstreamer() -> None:
    """Skips where GStreamer's RTSP server is not installed."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", probe], check=False).returncode:
        pytest.skip("needs gir1.2-gst-rtsp-server-1.0 and python3-gi, see .ci/apt.txt")
