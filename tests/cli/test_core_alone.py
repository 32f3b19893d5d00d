"""With nothing but what `pip install roadmask` installs: commands and library work, and none imports an extra."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from roadmask.engines.networks import cache
from roadmask.engines.openvino.segmenter import has_native_bf16
from roadmask.streaming.store import open_drive

EXTRAS = (
    *("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "tensorrt_rtx", "cuda"),
    *("ray", "fsspec", "s3fs", "pyarrow", "rerun"),
    *("scipy", "matplotlib", "trackeval", "pandas", "xarray", "supervision"),
)
BLOCKER = f"""
import sys
from importlib.machinery import PathFinder

class CoreFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, *args, **kwargs):
        hidden = name.partition(".")[0] in {EXTRAS!r}
        return None if hidden else super().find_spec(name, *args, **kwargs)

sys.meta_path[:] = [CoreFinder if each is PathFinder else each for each in sys.meta_path]
"""
COMMANDS = (
    BLOCKER
    + """
import contextlib, io, json
from roadmask.cli import main

ends = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main()
        except SystemExit as end:
            ends.append((end.code or 0, said.getvalue()))
print(json.dumps(ends))
"""
)

Core = Callable[..., str]


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    """Runs a program without extras and with a cache of its own; returns what it prints."""
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")

    def run(program: str, *arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def ends(core: Core, *commands: Sequence[str]) -> list[tuple[int, str]]:
    """Runs commands in one process; returns the exit code of each and what it says."""
    found = json.loads(core(COMMANDS, json.dumps(commands)))
    assert len(found) == len(commands)
    return [(code, said) for code, said in found]


def test_commands(core: Core, tmp_path: Path) -> None:
    commands = (
        ("run", "front=synthetic:?fps=2&seconds=2", "--out", "drive.zarr", "--overlay", "drive.mp4"),
        ("info", "drive.zarr"),
        ("check", "drive.zarr"),
        ("export", "drive.zarr", "coco.json", "--to", "coco"),
    )
    for command, (code, said) in zip(commands, ends(core, *commands), strict=True):
        assert code == 0, f"{command}: {said}"
    front = open_drive(tmp_path / "drive.zarr")["front"]
    assert front.ledger.accounted == 4
    assert sum(epoch.extent.instances for epoch in front.epochs) > 3
    assert len(list((cache.folder() / "graphs").glob("*.onnx"))) == 2, "put together from what comes with roadmask"


LACKING = {
    ("run", "synthetic:", "--out", "d.zarr", "--input-size", "320x320"): "torch",
    ("run", "synthetic:", "--out", "d.zarr", "--engine", "torch"): "torch",
    ("run", "a=synthetic:", "b=synthetic:", "--out", "d.zarr"): "ray",
    ("live", "synthetic:", "--out", "d.zarr"): "live",
    ("info", "DRIVE", "--plot", "d.png"): "plots",
    ("eval", "tracks", "--gt", "a", "--results", "b", "--format", "drive"): "eval",
    (
        "eval",
        "sample-drive",
    ): "eval",
    ("export", "DRIVE", "d.parquet", "--to", "parquet"): "export",
    ("train", "labels", "--out", "weights"): "torch",
}
"""Command -> the extra that it lacks."""


def test_a_command_that_lacks_an_extra_names_it(core: Core, drive: Path) -> None:
    commands = [[str(drive) if each == "DRIVE" else each for each in command] for command in LACKING]
    for command, extra, (code, said) in zip(LACKING, LACKING.values(), ends(core, *commands), strict=True):
        assert code == 2, command
        assert f"pip install 'roadmask[{extra}]'" in said, command


LIBRARY = (
    BLOCKER
    + """
import roadmask
from roadmask.sample_drive import SampleDrive

drive = SampleDrive()
for precision in PRECISIONS:
    pipeline = roadmask.Pipeline(roadmask.load_segmenter("lite", precision=precision))
    tracks = [pipeline.step(drive.render(index), index * 40_000_000) for index in range(3)][-1]
    assert len(tracks) > 1, precision
    assert tracks.instances.masks.to_rle().area.min() > 0
"""
)


@pytest.mark.ci
def test_the_library_in_every_precision(core: Core) -> None:
    precisions = ("fp32", "int8", *(("bf16",) if has_native_bf16() else ()))
    core(LIBRARY.replace("PRECISIONS", repr(precisions)))
