"""The containers: their steps in a plain folder, and what the composition of them agrees on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support.container_steps import ContainerFolder

ROOT = Path(__file__).resolve().parent.parent
CONTAINERS = ROOT / "containers"


@pytest.mark.ci
def test_the_image_for_a_cpu_runs(tmp_path: Path) -> None:
    image = ContainerFolder(CONTAINERS / "Dockerfile", ROOT, tmp_path)
    run = image.run("run", "front=synthetic:?fps=2&seconds=1", "--out", "drive.zarr")
    assert run.returncode == 0, run.stderr
    checked = image.run("check", "drive.zarr")
    assert checked.returncode == 0, checked.stderr
    installed = sum(path.stat().st_size for path in (tmp_path / "opt" / "roadmask").rglob("*") if not path.is_symlink())
    assert installed <= 700e6
    assert not list((tmp_path / "opt" / "roadmask").rglob("*_gpu_plugin*"))


@pytest.mark.bars
def test_the_image_for_a_gpu_runs_on_the_cpu_where_there_is_none(tmp_path: Path) -> None:
    image = ContainerFolder(CONTAINERS / "Dockerfile.nvidia", ROOT, tmp_path, EXTRAS="live")
    run = image.run("run", "front=synthetic:?fps=2&seconds=1", "--out", "drive.zarr")
    assert run.returncode == 0, run.stderr
    doctor = image.run("doctor")
    assert doctor.returncode == 0, doctor.stderr
    assert image.run("live", "--help").returncode == 0


def test_every_room_is_in_the_images() -> None:
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["roadmask"]["rooms"]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == {*rooms, "roadmask", "docs", "pyproject.toml", "README.md", "LICENSE"}


def test_the_images_differ_in_what_is_installed_alone() -> None:
    cpu, gpu = ((CONTAINERS / name).read_text().partition("\nFROM ")[2] for name in ("Dockerfile", "Dockerfile.nvidia"))
    other = "\n".join(line for line in gpu.splitlines() if not line.startswith("ENV NVIDIA"))
    assert cpu.partition("\nFROM ")[2].strip() == other.partition("\nFROM ")[2].strip()


class TestComposition:
    services = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())["services"]

    def test_the_command_is_one_that_roadmask_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        *shell, line = self.services["roadmask"]["entrypoint"]
        assert shell == ["sh", "-c"]
        help_text = subprocess.run(
            [sys.executable, "-m", "roadmask", "live", "--help"], capture_output=True, text=True, check=True
        ).stdout
        options = re.findall(r"--[\w-]+", line)
        assert options == ["--out", "--keep", "--page"]
        assert all(option in help_text for option in options)
        environment = self.services["roadmask"]["environment"]
        assert {*re.findall(r"\$\$([A-Z]+)", line)} <= set(environment)
        for name in ("ROADMASK_PAGE_TOKEN", "ROADMASK_PAGE_URL"):
            assert name in help_text
            assert name in environment

    def test_the_proxy_reaches_the_page(self) -> None:
        port = re.search(r"--page 0\.0\.0\.0:(\d+)", self.services["roadmask"]["entrypoint"][-1])
        assert port is not None
        assert f"reverse_proxy roadmask:{port[1]}" in (CONTAINERS / "Caddyfile").read_text()
        assert f"127.0.0.1:{port[1]}/healthz" in self.services["roadmask"]["healthcheck"]["test"][-1]
        assert "ports" not in self.services["roadmask"], "nothing but the proxy is reached from outside"
