"""What all tests share: where real data lies, where graphs are cached, and what may not skip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from support.browser import Browser

if not Path("/proc/driver/nvidia/version").exists():
    os.environ["TRITON_INTERPRET"] = "1"  # kernels run on the CPU; Triton asks for this when it is first imported
# Threads of torch that wait for each other spin; where other processes have their cores they take five times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An example may take as long as a busy machine likes, and all machines try the same ones.
settings.register_profile("roadmask", deadline=None, derandomize=True)
settings.load_profile("roadmask")

ROOT = Path(__file__).resolve().parent.parent
MAY_SKIP = (
    "needs a processor that multiplies bf16",
    "needs a CUDA GPU",
    "needs a machine without a CUDA GPU",
    "needs the right to mount",
)
"""Reasons that depend on the machine's chips or its guard, which no installation changes."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns skips into failures where ROADMASK_REQUIRE_SYSTEM says that everything is installed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("ROADMASK_REQUIRE_SYSTEM") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in MAY_SKIP):
            report.outcome = "failed"
            report.longrepr = f"skipped where nothing may skip (ROADMASK_REQUIRE_SYSTEM=1): {reason}"
    return report


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real clips and ground truth; the test skips where it is absent."""
    named = os.environ.get("ROADMASK_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip(f"needs real data in {folder}; set ROADMASK_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this session."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(session_folder: Path) -> Iterator[Path]:
    """Exported graphs of the tests, also of the processes they start: exported once a session, gone after it."""
    folder = session_folder / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROADMASK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def drive(session_folder: Path, cache_folder: Path) -> Path:
    """The whole sample drive, ten frames a second, as `roadmask run` stores it; read it, never change it.

    Beside it lie an overlay and a log. It is recorded once, by the process that asks first.
    """
    folder = session_folder / "drive"
    command = [sys.executable, "-m", "roadmask", "run", "front=synthetic:?fps=10", "--out", "drive.zarr"]
    command += ["--overlay", "overlay.mp4", "--log-json", "log.jsonl"]
    with FileLock(session_folder / "drive.lock"):
        if not folder.exists():
            made = session_folder / "drive.partial"
            made.mkdir()
            run = subprocess.run(command, cwd=made, check=False, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            made.rename(folder)
    return folder / "drive.zarr"


@pytest.fixture(autouse=True)
def _one_thread_of_torch() -> Iterator[None]:
    """An engine that was asked for more threads has set them for all that this process does after it."""
    yield
    if (torch := sys.modules.get("torch")) is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


_files_on_ray: set[Path] = set()
"""Files with tests that share a Ray."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files first whose tests share a Ray, so that one Ray serves them, then others with long tests.

    Two processes share the files: the last ones should be short, or one process waits for the other.
    """
    _files_on_ray.update(item.path for item in items if "cluster" in getattr(item, "fixturenames", ()))
    long = {item.path for item in items if item.get_closest_marker("ci")}
    items.sort(key=lambda item: (item.path not in _files_on_ray, item.path not in long))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Ends the shared Ray before the first test of a file that does without."""
    if "support.shared_ray" in sys.modules and (nextitem is None or nextitem.path not in _files_on_ray):
        from support import shared_ray

        shared_ray.stop()


@pytest.fixture
def cluster() -> None:
    """A Ray of two processors, which the tests of this process share."""
    from support import shared_ray

    shared_ray.start()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests of this process."""
    with Browser() as opened:
        yield opened


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """A browser that remembers nothing of the test before."""
    chromium.forget()
    return chromium


@pytest.fixture
def phone() -> Iterator[Browser]:
    with Browser(width=420, height=860, phone=True, dark=True) as opened:
        yield opened


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
def gstreamer() -> None:
    """Skips where GStreamer's RTSP server is not installed."""
    from benchmarks.cameras import SYSTEM_PYTHON

    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", probe], check=False).returncode:
        pytest.skip("needs gir1.2-gst-rtsp-server-1.0 and python3-gi, see .ci/apt.txt")


@pytest.fixture
def roadmask_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command; returns its exit code and what it printed, on one line."""
    from roadmask.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["roadmask", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    return run
