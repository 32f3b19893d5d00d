"""The command line as a whole: help, version, and what `doctor` says of the machine."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import pytest

import roadmask
from roadmask.engines.segmenter import Precision
from roadmask.engines.table import Engine
from roadmask.streaming.formats.export.registry import FORMATS
from roadmask.streaming.sources.registry import KINDS


def test_help_teaches(roadmask_cli) -> None:
    code, printed = roadmask_cli("run", "--help")
    assert code == 0
    for option in (
        "--out",
        "--overlay",
        "--weights",
        "--engine",
        "--classes",
        "--score-min",
        "--input-size",
        "--threads",
    ):
        assert option in printed
    for option in ("--ignore", "--config", "--max-frames", "--log-json", "--ray", "--no-ray"):
        assert option in printed
    assert "130 interrupted" in printed
    for command in ("run", "live", "batch"):
        assert "--precision" in roadmask_cli(command, "--help")[1]


@pytest.mark.parametrize("command", ["run", "live", "eval segm"])
def test_help_names_every_engine_and_precision(roadmask_cli, command: str) -> None:
    _, printed = roadmask_cli(*command.split(), "--help")
    assert set(get_args(Engine)) | set(get_args(Precision)) <= set(re.findall(r"[\w-]+", printed))


def test_help_of_calibration_says_where_its_images_are(roadmask_cli) -> None:
    for command in ("calibrate", "activations"):
        _, printed = roadmask_cli("engine", command, "--help")
        assert "street_train/images" in printed
        assert "coco_dev" not in printed


def test_version(roadmask_cli) -> None:
    assert roadmask_cli("--version") == (0, roadmask.__version__)


def test_doctor_says_that_run_works(roadmask_cli) -> None:
    code, printed = roadmask_cli("doctor")
    assert code == 0
    assert "openvino" in printed
    assert "roadmask run works here" in printed


def test_doctor_works_where_opencv_does_not() -> None:
    program = """
import sys
sys.modules["cv2"] = None
sys.argv = ["roadmask", "doctor"]
from roadmask.cli import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "libgl1" in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("run", [kind.example for kind in KINDS]),
        ("export", [*FORMATS, "cvat and video hold a single", "video and rerun"]),
    ],
)
def test_help_names_what_is_registered(command: str, names: list[str], roadmask_cli, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    printed = " ".join(roadmask_cli(command, "--help")[1].split())
    assert all(name in printed for name in names)
