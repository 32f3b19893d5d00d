"""A batch from videos to stores: equal to single runs, resumed, and never stopped by one bad drive."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from roadmask.engines.errors import StoreError
from roadmask.streaming.batch.batch import BatchSettings, run_batch
from roadmask.streaming.batch.outcome import NOTES, DriveOutcome
from roadmask.streaming.batch.schedule import BatchView
from roadmask.streaming.config import RunConfig
from support.batches import plan_of, red_segmenter, single, slow_segmenter, write_drives
from support.compare_stores import differing_files

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


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


def test_a_folder_that_cannot_be_written_ends_the_batch(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    (tmp_path / "out").touch()
    with pytest.raises(StoreError, match="cannot write to") as caught:
        run_batch(plan_of(videos, tmp_path / "out", SETTINGS))
    assert caught.value.exit_code == 4
