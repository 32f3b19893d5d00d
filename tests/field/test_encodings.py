"""Output in encodings that lack most letters, and names that are no text."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from roadmask.cli import main
from roadmask.cli.program import run_program
from roadmask.cli.progress import camera_bars
from roadmask.streaming.recording.result import CameraProgress
from support.batches import single, write_drives


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drives(tmp_path_factory.mktemp("videos"), 1) / "d00.mp4"


@pytest.fixture(scope="module")
def whole(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store on a local disk, in a folder whose name is no ASCII."""
    return single(video, tmp_path_factory.mktemp("Fahrt-\u00fc") / "d00.zarr")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs a command with an output of an encoding; gives its exit code and what it printed."""

    def run(
        *arguments: object, encoding: str = "ascii", program: Callable[[], object] | None = None
    ) -> tuple[int, str]:
        both = io.BytesIO()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, io.TextIOWrapper(both, encoding, write_through=True))
        monkeypatch.setattr(sys, "argv", ["roadmask", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            main() if program is None else run_program(program)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, both.getvalue().decode(encoding)

    return run


@pytest.fixture
def named_store(whole: Path) -> Iterator[Path]:
    place = whole.with_name("\u8d70\u884c.zarr")
    whole.rename(place)
    yield place
    place.rename(whole)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("ascii", "\\u8d70\\u884c.zarr"), ("latin-1", "\\u8d70\\u884c.zarr"), ("utf-8", "\u8d70\u884c.zarr")],
)
def test_any_encoding_shows_any_name(
    named_store: Path, printed: Callable[..., tuple[int, str]], encoding: str, name: str
) -> None:
    code, said = printed("info", named_store, encoding=encoding)
    assert (code, name in said) == (0, True)
    assert ("| camera |" in said) == (encoding != "utf-8")  # tables without lines that it cannot show
    code, said = printed("check", named_store, encoding=encoding)
    assert (code, f"{name} is not damaged" in said) == (0, True)
    code, said = printed("check", named_store.with_name("\u8d70.zarr"), encoding=encoding)
    assert (code, "error: " in said, "Traceback" in said) == (2, True, False)


def test_a_name_that_is_no_text_is_shown(
    named_store: Path, tmp_path: Path, printed: Callable[..., tuple[int, str]]
) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9.zarr")
    named_store.rename(place)
    try:
        code, said = printed("check", place, encoding="utf-8")
    finally:
        place.rename(named_store)
    assert (code, "caf\\udce9.zarr is not damaged" in said) == (0, True), said


def test_help_bars_and_spinners_in_ascii(
    printed: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (["--help"], ["run", "--help"], ["live", "--help"], ["run"], ["nonsense\u2026"]):
        code, said = printed(*arguments)
        assert code in {0, 2}
        assert "\\u" not in said.replace("nonsense", "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")

    def program() -> None:
        console = Console(stderr=True, width=60)
        with console.status("Reading \u8d70"), camera_bars(console) as update:
            update({"\u8d70": CameraProgress(3, {3: 1}, 10)})
        console.print("a name that is much too long for the console \u2014 \u2026", overflow="ellipsis", no_wrap=True)

    code, said = printed(program=program)
    assert (code, "\\u8d70" in said, "\\u2" in said) == (0, True, False)


def test_python_itself_is_told_ascii(named_store: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "roadmask", "info", str(named_store)]
    ran = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\\u8d70\\u884c.zarr" in ran.stdout
