"""A batch from videos to stores: equal to single runs, resumed, and never stopped by one bad drive."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from roadmask.engines.errors import StoreError
from roadmask.streaming.batch.batch import BatchResult, BatchSettings, run_batch
from roadmask.streaming.batch.outcome import NOTES, DriveOutcome, Notes
from roadmask.streaming.batch.plan import estimate, require_room, workers_for
from roadmask.streaming.batch.report import report_page
from roadmask.streaming.batch.schedule import BatchView, run_tasks
from roadmask.streaming.batch.workers import Died
from roadmask.streaming.config import RunConfig
from roadmask.streaming.store.compare import differing_files
from support.batches import deadly_segmenter, plan_of, red_segmenter, single, slow_segmenter, write_drives

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, BatchResult]:
    """Three good drives and two broken ones, recorded by two processes."""
    folder = tmp_path_factory.mktemp("batch")
    videos = write_drives(folder / "videos", 3, broken=2)
    return videos, folder / "out", run_batch(plan_of(videos, folder / "out", SETTINGS))


def test_stores_equal_those_of_single_runs(done, tmp_path: Path) -> None:
    videos, out, _ = done
    for name in ("d00", "d01", "d02"):
        one = single(videos / f"{name}.mp4", tmp_path / f"{name}.zarr")
        assert differing_files(one, out / f"{name}.zarr") == []


def test_a_broken_drive_is_reported_and_stops_nothing(done) -> None:
    _, out, result = done
    assert [outcome.status for outcome in result.outcomes] == ["stored"] * 3 + ["failed"] * 2
    assert result.exit_code == 3
    assert "empty file" in result.outcomes[3].reason
    assert "text file" in result.outcomes[4].reason
    assert sorted(path.name for path in out.glob("*.zarr")) == ["d00.zarr", "d01.zarr", "d02.zarr"]
    first = result.outcomes[0]
    assert (first.frames, first.tracks, first.lost, first.width) == (6, {"car": 1}, {}, 80)


def test_what_is_finished_is_not_done_again(done) -> None:
    videos, out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.zarr/**/*")}
    plan = plan_of(videos, out, SETTINGS)
    assert [drive.state for drive in plan.drives] == ["finished"] * 3 + ["broken"] * 2
    again = run_batch(plan)
    assert [outcome.skipped for outcome in again.outcomes[:3]] == [True] * 3
    assert again.exit_code == 3
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.zarr/**/*")} == before


def test_the_store_of_a_single_run_counts_as_finished(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    store = single(videos / "d00.mp4", tmp_path / "out" / "d00.zarr")
    before = (store / "zarr.json").stat().st_mtime_ns
    result = run_batch(plan_of(videos, tmp_path / "out", SETTINGS))
    assert (result.outcomes[0].status, result.outcomes[0].skipped, result.outcomes[0].frames) == ("stored", True, 6)
    assert (store / "zarr.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("what", ["config.engine", "sources.d00"])
def test_a_finished_store_of_something_else_is_never_overwritten(tmp_path: Path, what: str) -> None:
    videos = write_drives(tmp_path / "videos", 2)
    config = RunConfig()
    store = single(videos / "d00.mp4", tmp_path / "out" / "d00.zarr")
    if what.startswith("config"):
        config = replace(config, engine=replace(config.engine, score_min=0.6))
    else:
        (videos / "d00.mp4").write_bytes((videos / "d01.mp4").read_bytes())
    before = (store / "provenance.jsonl").read_bytes()
    result = run_batch(plan_of(videos, tmp_path / "out", SETTINGS, config))
    assert result.outcomes[0].status == "failed"
    assert "created with different settings" in result.outcomes[0].reason
    assert f"{what}." in result.outcomes[0].reason
    assert result.outcomes[1].status == "stored"
    assert (store / "provenance.jsonl").read_bytes() == before


def test_an_interrupted_batch_goes_on(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 4, frames=20)
    stop = threading.Event()

    def at_first_progress(view: BatchView, outcome: DriveOutcome | None) -> None:
        if any(view.running.values()):
            stop.set()

    slow = BatchSettings(workers=2, build=slow_segmenter)
    first = run_batch(plan_of(videos, tmp_path / "out", slow), stop=stop, on_change=at_first_progress)
    assert first.exit_code == 130
    assert {outcome.status for outcome in first.outcomes} <= {"stored", "interrupted", "waiting"}
    plan = plan_of(videos, tmp_path / "out", SETTINGS)
    assert "interrupted" in [drive.state for drive in plan.drives]
    assert run_batch(plan).exit_code == 0
    for number in range(4):
        one = single(videos / f"d{number:02d}.mp4", tmp_path / f"{number}.zarr")
        assert differing_files(one, tmp_path / "out" / f"d{number:02d}.zarr") == []
    assert list((tmp_path / "out" / NOTES).glob("*.unfinished")) == []


def test_a_drive_that_kills_its_worker_is_given_up(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    result = run_batch(plan_of(videos, tmp_path / "out", BatchSettings(workers=1, build=deadly_segmenter)))
    (outcome,) = result.outcomes
    assert (outcome.status, outcome.attempts, result.exit_code) == ("failed", 3, 3)
    assert "SIGKILL" in outcome.reason
    assert "memory" in outcome.reason
    assert run_batch(plan_of(videos, tmp_path / "out", SETTINGS)).exit_code == 0


def test_a_drive_whose_worker_dies_once_is_stored(tmp_path: Path) -> None:
    """Workers that only pretend: the first attempt of each drive dies."""

    class Fragile:
        def __init__(self) -> None:
            self.tasks: list = []

        def free(self) -> int:
            return 1 - len(self.tasks)

        def submit(self, task) -> None:
            self.tasks.append(task)

        def poll(self, seconds: float) -> list:  # noqa: ARG002 - as `Workers` has it
            if not self.tasks:
                return []
            task = self.tasks.pop()
            if task.attempts == 1:
                return [Died(task.drive.name, "its node is gone")]
            return [DriveOutcome(task.drive.name, "stored", attempts=task.attempts)]

        def stop(self) -> None: ...

        def close(self) -> None: ...

    videos = write_drives(tmp_path / "videos", 2)
    tasks = [drive.task for drive in plan_of(videos, tmp_path / "out", SETTINGS).drives]
    view = BatchView()
    run_tasks(tasks, Fragile(), view, require_writable=Notes(tmp_path / "out").require_writable, stop=threading.Event())
    assert [(o.status, o.attempts) for o in view.outcomes.values()] == [("stored", 2)] * 2


def test_a_folder_that_cannot_be_written_ends_the_batch(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    (tmp_path / "out").touch()
    with pytest.raises(StoreError, match="cannot write to") as caught:
        run_batch(plan_of(videos, tmp_path / "out", SETTINGS))
    assert caught.value.exit_code == 4


def test_the_estimate_counts_what_is_left(tmp_path: Path, done) -> None:
    videos, out, _ = done
    plan = plan_of(videos, tmp_path / "new", SETTINGS)
    expected = estimate(plan.drives, plan.workers)
    assert expected is not None
    assert (expected.frames, expected.unknown) == (6 + 7 + 8, 0)
    real = sum(path.stat().st_size for path in out.rglob("*.zarr/**/*") if path.is_file())
    assert 0.5 < expected.stored_bytes / real < 2
    with pytest.raises(StoreError, match="--force"):
        require_room(replace(expected, free_bytes=expected.stored_bytes // 2), tmp_path)
    assert estimate(plan_of(videos, out, SETTINGS).drives, 2) is None


@pytest.mark.parametrize(
    ("drives", "cores", "memory_gib", "threads", "expected"),
    [
        (100, 16, 64, None, (1, 16)),  # as `run` does
        (100, 16, 64, 4, (4, 4)),
        (2, 16, 64, 4, (2, 4)),
        (100, 16, 8, 1, (4, 1)),  # memory for four
        (100, 2, 1, 4, (1, 4)),
    ],
)
def test_workers_follow_cores_memory_and_drives(drives, cores, memory_gib, threads, expected) -> None:
    assert workers_for(drives, cores, memory_gib * 2**30, threads) == expected


def test_the_report_is_one_page_with_everything(done) -> None:
    _, _, result = done
    page = report_page(result)
    for outcome in result.outcomes:
        assert outcome.drive in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert "is an empty file (0 bytes)" in page
    assert "3 of 5" in page
    assert page.count("<rect") == 3
    # nothing from elsewhere: no address, script, style sheet or font that would be fetched
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", page)


def test_the_report_escapes_names() -> None:
    outcome = DriveOutcome("<b>x", "failed", "<script>alert(1)</script>")
    page = report_page(BatchResult(Path("/o"), [outcome], 0.0, 1.0))
    assert "<script>" not in page
    assert "&lt;b&gt;x" in page


def cli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "roadmask", "batch", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_plans_refuses_and_reports_broken_drives(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1, broken=2)
    (videos / "d00.mp4").unlink()
    planned = cli(videos, "--out", "out", "--dry-run", "--json", "plan.json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "broken" in planned.stderr
    assert [record["state"] for record in json.loads((tmp_path / "plan.json").read_text())["results"]] == ["broken"] * 2
    assert not (tmp_path / "out").exists()
    ended = cli(videos, "--out", "out", cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "text file" in (tmp_path / "out" / "report.html").read_text()
    assert cli("nowhere", "--out", "out", cwd=tmp_path).returncode == 2
    assert cli(videos, "--out", "out", "--pattern", "{cam}", cwd=tmp_path).returncode == 2
    (tmp_path / "file").touch()
    assert cli(videos, "--out", "file", cwd=tmp_path).returncode == 4


@pytest.mark.bars
def test_the_command_is_interrupted_and_goes_on(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, "-m", "roadmask", "batch", str(data_dir / "clips"), "--out", "out", "--workers", "1"]
    command += ["--max-frames", "40"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(tmp_path.glob("out/*.zarr")) and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, printed = run.communicate(timeout=120)
    assert run.returncode == 130, printed
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    for clip in ("highway", "freeway_near", "night_crossing"):
        one = [
            sys.executable,
            "-m",
            "roadmask",
            "run",
            str(data_dir / "clips" / f"{clip}.mp4"),
            "--out",
            f"{clip}.zarr",
        ]
        subprocess.run([*one, "--max-frames", "40"], cwd=tmp_path, check=True)
        assert differing_files(tmp_path / f"{clip}.zarr", tmp_path / "out" / f"{clip}.zarr") == []
