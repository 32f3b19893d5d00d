"""First paint, seeks and memory of the page of a recorded store."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from benchmarks.view.drive import make_drive
from roadmask.engines.errors import InputError
from roadmask.streaming.page import PageLimits
from roadmask.streaming.store import open_drive
from roadmask.viewing.server import RecordedFeed

_ROW = 200
"""Number of frames that are asked for one after the other, as when the drive is played."""


@dataclass(frozen=True)
class ViewBenchmark:
    """Settings of the benchmark."""

    frames: int = 10_000
    """Number of frames of the store that is made."""
    seeks: int = 200
    """Number of random seeks."""
    seed: int = 1
    """Seed of the choice of frames."""


def benchmark_view(store: Path | None, settings: ViewBenchmark) -> list[dict[str, Any]]:
    """Measures the page of a store.

    Args:
        store: the store, with its recording beside it; made of the sample drive if None.
        settings: how.

    Returns:
        One record: source, frames, tracks, start_s (from the start of the command to the address that it prints),
        first_frame_s (from opening the address in Chromium to the first frame with masks on the screen; None without
        Chromium), seek_ms_median and seek_ms_p95, seek_cpu_ms_mean (processor time of the server), play_ms_median
        (frames in a row), seek_files_max, seek_mb_median and seek_mb_max (read by the server's process for one frame),
        server_mb_peak.

    Raises:
        InputError: this system does not count the bytes that a process reads.
        StoreError: the store cannot be read.
    """
    if not Path("/proc/self/io").exists():
        raise InputError("measuring what a seek reads needs Linux, which counts it in /proc/PID/io.")
    with tempfile.TemporaryDirectory(prefix="roadmask-bench-") as folder:
        path = make_drive(Path(folder), settings.frames) if store is None else store
        return [_measure(path, settings)]


def _measure(path: Path, settings: ViewBenchmark) -> dict[str, Any]:
    drive = open_drive(path)
    frames = sum(map(len, drive.values()))
    keys = (1 + np.random.default_rng(settings.seed).integers(frames, size=settings.seeks)).tolist()
    with _serving(path) as (process, url, start_s):
        first_frame_s = _first_frame_s(url)
        client = http.client.HTTPConnection(urlsplit(url).netloc)
        before = _cpu_s(process.pid)
        seeks = [_ask(client, key, process.pid) for key in keys]
        cpu_s = _cpu_s(process.pid) - before
        row = [_ask(client, key, process.pid) for key in range(1, min(_ROW, frames) + 1)]
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    milliseconds, megabytes = np.array(seeks).T
    return {
        "source": path.name,
        "frames": frames,
        "tracks": sum(len(camera.tracks()) for camera in drive.values()),
        "start_s": round(start_s, 2),
        "first_frame_s": first_frame_s,
        "seek_ms_median": round(float(np.median(milliseconds)), 1),
        "seek_ms_p95": round(float(np.percentile(milliseconds, 95)), 1),
        "seek_cpu_ms_mean": round(1e3 * cpu_s / len(keys), 1),
        "play_ms_median": round(float(np.median([each for each, _ in row])), 1),
        "seek_files_max": _files_max(path, keys),
        "seek_mb_median": round(float(np.median(megabytes)), 3),
        "seek_mb_max": round(float(megabytes.max()), 3),
        "server_mb_peak": round(int(peak[1]) / 1024, 1) if peak else None,
    }


@contextmanager
def _serving(path: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Runs the command; gives its process, the page's address, and how long it took to print it, in seconds."""
    command = [sys.executable, "-m", "roadmask", "view", path.name, "--page", "127.0.0.1:0", "--no-open"]
    started = time.perf_counter()
    folder = path.absolute().parent
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            said = ""
            for line in process.stderr or ():
                said += line
                if found := re.search(r"look at (http\S+)", line):
                    yield process, found[1], time.perf_counter() - started
                    break
            else:
                raise InputError(f"roadmask view ended: {said}")
        finally:
            process.terminate()


def _ask(client: http.client.HTTPConnection, key: int, process: int) -> tuple[float, float]:
    """Returns how long a frame takes, in milliseconds, and what the server read for it, in megabytes."""
    before, started = _read_bytes(process), time.perf_counter()
    client.request("GET", f"/api/history/{key}")
    answer = client.getresponse()
    body = answer.read()
    took = (time.perf_counter() - started) * 1e3
    if answer.status != http.HTTPStatus.OK:
        raise InputError(f"expected frame {key} from the page, got {answer.status}: {body[:200]!r}")
    return took, (_read_bytes(process) - before) / 1e6


def _cpu_s(process: int) -> float:
    """Returns the processor time that a process has used, in seconds."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def _read_bytes(process: int) -> int:
    """Returns the number of bytes that a process has read from files."""
    return int(Path(f"/proc/{process}/io").read_text(encoding="ascii").split()[1])


def _files_max(path: Path, keys: list[int]) -> int:
    """Returns the largest number of files that one of these frames takes, the open recording included."""
    opened: set[str] = set()
    counting = [False]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if counting[0] and event == "open" and isinstance(arguments[0], str):
            opened.add(arguments[0])

    drive = open_drive(path)
    feed = RecordedFeed(drive, {}, (path.absolute().parent,), PageLimits())
    for images in feed.images.values():
        images.start()
        images.wait()
    sys.addaudithook(hook)  # for good: there is no way to remove it
    most = 0
    for key in keys:
        opened.clear()
        counting[0] = True
        feed.message(key, None, 0.0)
        counting[0] = False
        most = max(most, len(opened) + 1)
    for images in feed.images.values():
        images.close()
    return most


def _first_frame_s(url: str) -> float | None:
    """Returns how long Chromium takes from the address to a frame with masks, in seconds; None without Chromium."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        return None
    from selenium import webdriver  # noqa: PLC0415 - only where there is a browser
    from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(programs[1])))
    try:
        driver.get("about:blank")  # the browser has started
        driver.get(url)
        mark = "return performance.getEntriesByName('first-frame')[0]?.startTime"
        milliseconds = WebDriverWait(driver, 60).until(lambda _: driver.execute_script(mark))
    finally:
        driver.quit()
    return round(float(milliseconds) / 1e3, 2)
