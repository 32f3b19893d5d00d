"""A run that was killed is resumed at its last commit, and ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roadmask.streaming.store import check_drive, open_drive
from support.compare_stores import differing_files
from support.killable import STEPS

PROGRAM = (sys.executable, "-m", "support.killable")


class Killer:
    """Runs that are killed: in forks of a process that has imported everything, or on a Ray of their own."""

    def __init__(self, complaints: Path) -> None:
        self._complaints = complaints
        self._environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with complaints.open("a") as stderr:
            self._server = subprocess.Popen(
                [*PROGRAM, "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=self._environment,
            )

    def run(self, out: Path, step: str, count: int, *how: str) -> int:
        """Returns the exit code, that of SIGKILL if the run was killed."""
        asked = [str(out), step, str(count), *how]
        if how:
            with self._complaints.open("a") as stderr:
                return subprocess.run([*PROGRAM, *asked], stderr=stderr, env=self._environment, check=False).returncode
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write("\t".join(asked) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    @property
    def complaints(self) -> str:
        return self._complaints.read_text()

    def close(self) -> None:
        self._server.communicate()


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    opened = Killer(tmp_path_factory.mktemp("killer") / "stderr.txt")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, killer: Killer) -> tuple[Path, dict[str, int]]:
    """A run that was never killed, and how many steps of each kind it took."""
    out = tmp_path_factory.mktemp("whole") / "drive.zarr"
    assert killer.run(out, "none", 0) == 3, killer.complaints  # some frames are lost on purpose
    return out, json.loads(Path(f"{out}.steps").read_text())


@pytest.mark.parametrize("step", STEPS)
def test_killed_inside_a_step_of_a_commit(
    tmp_path: Path, killer: Killer, whole: tuple[Path, dict[str, int]], step: str
) -> None:
    out, steps = tmp_path / "drive.zarr", whole[1]
    kills = 2
    for part in range(1, kills + 1):  # a resumed run takes fewer steps than the one before
        killed = killer.run(out, step, steps[step] * (part + 1) // (2 * kills + 2))
        assert killed == -signal.SIGKILL, killer.complaints
        front = open_drive(out)["front"]
        assert 0 < front.ledger.accounted < 90
        report = check_drive(out)
        assert report.ok, report.problems
    assert killer.run(out, "none", 0) == 3
    assert differing_files(whole[0], out) == []
    assert [json.loads(line)["event"] for line in (out / "provenance.jsonl").read_text().splitlines()] == [
        "created",
        *["resumed"] * kills,
        "closed",
    ]


def kill_at_random(killer: Killer, out: Path, seed: int, most: int, *how: str) -> list[int]:
    """Kills and resumes until the run is through; returns the frames accounted for in the store after each kill."""
    moments = np.random.default_rng(seed)
    accounted: list[int] = []
    for _ in range(60):
        ended = killer.run(out, "random", int(moments.integers(1, most)), *how)
        if ended != -signal.SIGKILL:
            assert ended == 3, killer.complaints
            return accounted
        begun = (out / "front").is_dir() and (out / "zarr.json").is_file()
        accounted.append(open_drive(out)["front"].ledger.accounted if begun else 0)
    raise AssertionError("it never came to its end")


def test_killed_at_random_moments(tmp_path: Path, killer: Killer, whole: tuple[Path, dict[str, int]]) -> None:
    accounted = kill_at_random(killer, tmp_path / "drive.zarr", 7, sum(whole[1].values()) // 4)
    assert len(accounted) >= 5
    assert differing_files(whole[0], tmp_path / "drive.zarr") == []


@pytest.mark.ci
def test_killed_on_ray_with_its_writers(tmp_path: Path, killer: Killer, whole: tuple[Path, dict[str, int]]) -> None:
    out = tmp_path / "drive.zarr"
    killed = killer.run(out, "rename", whole[1]["rename"] // 3, "ray")
    assert killed == -signal.SIGKILL, killer.complaints
    accounted = open_drive(out)["front"].ledger.accounted
    assert 0 < accounted < 90
    assert killer.run(out, "none", 0, "ray") == 3, killer.complaints  # waits for orphaned writers
    assert differing_files(whole[0], out) == []


@pytest.mark.bars
@pytest.mark.timeout(1800)  # on Ray each life takes long to begin
@pytest.mark.parametrize(("seed", "how"), [*((seed, ()) for seed in range(5)), (5, ("ray",)), (6, ("ray",))])
def test_killed_at_many_random_moments(
    tmp_path: Path, killer: Killer, whole: tuple[Path, dict[str, int]], seed: int, how: tuple[str, ...]
) -> None:
    accounted = kill_at_random(killer, tmp_path / "drive.zarr", seed, sum(whole[1].values()) // 7, *how)
    assert len(accounted) >= 10
    assert sum(0 < frames < 90 for frames in accounted) >= 8  # between the first commit and the last
    assert differing_files(whole[0], tmp_path / "drive.zarr") == []
