"""Drives are given to workers until each has an outcome."""

from __future__ import annotations

import threading
from pathlib import Path

from roadmask.streaming.batch.batch import BatchSettings
from roadmask.streaming.batch.outcome import DriveOutcome, Notes
from roadmask.streaming.batch.schedule import BatchView, run_tasks
from roadmask.streaming.batch.workers import Died
from support.batches import plan_of, red_segmenter, write_drives

SETTINGS = BatchSettings(workers=2, build=red_segmenter)


def test_a_drive_whose_worker_dies_once_is_stored(tmp_path: Path) -> None:
    """Workers that only pretend: the first attempt of each drive dies."""

    class Fragile:
        def __init__(self) -> None:
            self.tasks: list = []

        def free(self) -> int:
            return 1 - len(self.tasks)

        def submit(self, task) -> None:
            self.tasks.append(task)

        def poll(self, seconds: float) -> list:
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
