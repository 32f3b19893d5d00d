"""A batch that several modules look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.batch.batch import BatchResult, BatchSettings, run_batch
from support.batches import plan_of, red_segmenter, write_drives

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


@pytest.fixture(scope="package")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, BatchResult]:
    """Three good drives and two broken ones, recorded by two processes."""
    folder = tmp_path_factory.mktemp("batch")
    videos = write_drives(folder / "videos", 3, broken=2)
    return videos, folder / "out", run_batch(plan_of(videos, folder / "out", SETTINGS))
