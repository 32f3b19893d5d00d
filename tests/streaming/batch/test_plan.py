"""What is left to do, what it costs, and how many workers do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roadmask.engines.errors import StoreError
from roadmask.streaming.batch.batch import BatchSettings
from roadmask.streaming.batch.plan import estimate, require_room, workers_for
from support.batches import plan_of, red_segmenter

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


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
