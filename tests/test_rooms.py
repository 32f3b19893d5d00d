"""The rooms: who may import whom, what stays light, and that a wheel holds all of it."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from benchmarks.install_size.measuring import build_wheel, installed_bytes, required_packages

ROOT = Path(__file__).resolve().parent.parent
ROOMS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["roadmask"]["rooms"]
"""Room -> the rooms it may import besides itself, in the order in which imports run."""


def modules(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found
    return found


def test_each_room_has_its_link_and_no_other_folder_has_one() -> None:
    links = {path.name: path.readlink() for path in (ROOT / "roadmask").iterdir() if path.is_symlink()}
    assert links == {room: Path("..") / room for room in ROOMS}


def test_rooms_are_listed_in_the_order_in_which_imports_run() -> None:
    for number, (room, may_import) in enumerate(ROOMS.items()):
        assert set(may_import) <= set(list(ROOMS)[:number]), room


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    allowed = {room, "__version__", "lazy", *ROOMS[room]}  # neither of the two imports a room
    wrong = []
    for path in modules(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: import from roadmask, not relatively"
                names = [node.module or ""]
                if names == ["roadmask"]:
                    names = [f"roadmask.{alias.name}" for alias in node.names]
            for name in names:
                parts = name.split(".")
                bare = parts[0] in {*ROOMS, "benchmarks", "demos", "tests"}
                if bare or (parts[0] == "roadmask" and len(parts) > 1 and parts[1] not in allowed):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert not wrong


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        # the part a vehicle's stack uses
        ("import roadmask.engines, roadmask.tracking, roadmask.streaming.pipeline", "ray zarr av typer torch"),
        ("from roadmask import IouTracker, Pipeline, load_segmenter", "ray zarr av typer torch matplotlib"),
        # reading a store
        ("from roadmask import open_drive", "ray av typer torch openvino"),
        # the command line without a command
        ("import roadmask.cli", "ray torch openvino matplotlib cv2 zarr av"),
    ],
)
def test_light_imports_stay_light(statement: str, banned: str) -> None:
    check = f"import sys; {statement}; print(*sorted(set({banned.split()!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == ""


def test_a_perception_stack_needs_neither_ray_nor_zarr_nor_video() -> None:
    # None in sys.modules makes an import fail as if the package were not installed
    program = """
import sys
for name in ("ray", "zarr", "av", "typer", "rich", "matplotlib"):
    sys.modules[name] = None
import numpy as np
from roadmask import IouTracker, Pipeline, load_segmenter
from roadmask.sample_drive import SampleDrive

drive = SampleDrive()
pipeline = Pipeline(load_segmenter("lite"), IouTracker())
pipeline.warm_up(drive.image_size)
for index in range(4):
    tracks = pipeline.step(drive.render(index), index * 100_000_000)
assert len(tracks) and tracks.track_ids.min() > 0
assert tracks.instances.masks.to_rle().area.min() > 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd="/")


def test_the_wheel_holds_every_module(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path)
    assert wheel.stat().st_size <= 45e6
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"roadmask/{path.relative_to(ROOT)}" for room in ROOMS for path in modules(room)}
    expected |= {"roadmask/__init__.py", "roadmask/extend.py", "roadmask/lazy.py", "roadmask/py.typed"}
    data = ("lite-int8-ranges.json", "models.md", "roadmask-lite.graphs", "roadmask-lite.safetensors")
    expected |= {f"roadmask/engines/data/{name}" for name in data}
    page = ROOT / "streaming" / "page" / "static"
    expected |= {f"roadmask/{path.relative_to(ROOT)}" for path in page.iterdir()}
    messages = ROOT / "streaming" / "messages" / "roadmask_msgs"
    expected |= {f"roadmask/{path.relative_to(ROOT)}" for path in messages.rglob("*") if path.is_file()}
    assert expected <= inside
    assert not {name for name in inside if name.startswith(("tests", "engines", "evaluation", "streaming"))}


def test_the_core_is_small_and_needs_no_network_library() -> None:
    core = required_packages()
    assert not core & {"torch", "torchvision", "onnx", "onnxscript", "ray", "scipy", "matplotlib", "pandas"}
    assert sum(map(installed_bytes, core)) <= 750e6, "800 MB with roadmask and the bytecode of all"
    assert required_packages(("plots",)) > core
