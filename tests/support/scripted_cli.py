"""The command line with a scripted segmenter that waits SLOW_S for each image: `python -m support.scripted_cli`."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from roadmask.cli.app import main
from roadmask.evaluation.speed.scripted import waiting_segmenter
from roadmask.streaming.live import run as live_running
from roadmask.streaming.recording import drive as running
from support.drives import bright_segmenter


def slow_segmenter(_config: Any) -> Any:
    segmenter = bright_segmenter()
    find = segmenter.__call__

    class Slow(type(segmenter)):  # type: ignore[misc]
        def __call__(self, images: Any) -> Any:
            time.sleep(float(os.environ.get("SLOW_S", "0")) * len(images))
            return find(images)

    segmenter.__class__ = Slow
    return segmenter


def slow_live_segmenter(_config: Any) -> Any:
    return waiting_segmenter(1000 * float(os.environ.get("SLOW_S", "0")))


if __name__ == "__main__":
    running.build_segmenter = slow_segmenter
    live_running.build_segmenter = slow_live_segmenter
    if "FILE_BYTES" in os.environ:
        limit = int(os.environ["FILE_BYTES"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main()
