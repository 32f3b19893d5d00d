"""Workers that are processes of this machine, and what happens when one dies."""

from __future__ import annotations

from pathlib import Path

from roadmask.streaming.batch.batch import BatchSettings, run_batch
from support.batches import deadly_segmenter, plan_of, red_segmenter, write_drives

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


def test_a_drive_that_kills_its_worker_is_given_up(tmp_path: Path) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    result = run_batch(plan_of(videos, tmp_path / "out", BatchSettings(workers=1, build=deadly_segmenter)))
    (outcome,) = result.outcomes
    assert (outcome.status, outcome.attempts, result.exit_code) == ("failed", 3, 3)
    assert "SIGKILL" in outcome.reason
    assert "memory" in outcome.reason
    assert run_batch(plan_of(videos, tmp_path / "out", SETTINGS)).exit_code == 0
