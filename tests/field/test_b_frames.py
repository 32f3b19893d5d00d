"""Cameras that send B-frames: every frame that is taken is stored, in the order in which it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from ray import cloudpickle

import support.field
from benchmarks.cameras import RtspServer
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive, open_drive
from support.field import number_segmenter, stored_numbers, stored_times_ns
from support.patience import PATIENCE_S
from support.video_factory import write_clip

ENGINE_MS = 5.0
CODECS = ["libx264", "libx265"]
AGAIN = 128
"""From the last number of each clip to its first it is further than this, modulo the 256 that can be drawn."""


@pytest.fixture
def by_value() -> Iterator[None]:
    """Gives the engine of the test to the run's own Ray, whose processes are not the last to get the processor."""
    cloudpickle.register_pickle_by_value(support.field)
    yield
    cloudpickle.unregister_pickle_by_value(support.field)


@pytest.mark.parametrize(
    ("codec", "fps", "seconds", "stored"),
    [
        # a machine with other things to do may be too slow for all of them, which is no matter of their order
        pytest.param("libx265", 5, 5, 20, marks=pytest.mark.ci),
        pytest.param("libx264", 25, 5, 50, marks=pytest.mark.ci),
        *(pytest.param(codec, 5, 60, 298, marks=pytest.mark.bars) for codec in CODECS),
        *(pytest.param(codec, 25, 62, 1535, marks=pytest.mark.bars) for codec in CODECS),
    ],
)
def test_a_camera(
    tmp_path: Path, by_value: None, gstreamer: None, codec: str, fps: int, seconds: int, stored: int
) -> None:
    frames = fps * seconds
    clip = write_clip(
        tmp_path / "clip.mp4", (n % 256 for n in range(frames)), codec=codec, fps=fps, gop=2 * fps, b_frames=3
    )
    out = tmp_path / "drive.zarr"
    engine = partial(number_segmenter, image_ms=ENGINE_MS)
    with RtspServer(clip) as server:
        sources = parse_live_sources([f"cam={server.url}"])
        with ObservedRun(sources, out, LiveSettings(), [engine]) as run:

            def over() -> bool:
                seen = run.camera("cam")
                return (seen is not None and seen.reconnects > 0) or bool(seen and "ended the stream" in seen.detail)

            run.until(over, seconds + PATIENCE_S, "the end of the clip")
            result = run.stop()
    assert not run.unbalanced
    (camera,) = result.cameras
    kept = open_drive(out)["cam"]
    assert (camera.ledger.failed, camera.problem) == ({}, None)
    assert camera.ledger.dropped.keys() <= {"stale", "thinned", "late", "stopped"}  # all that was taken is stored
    numbers, times_ns = stored_numbers(kept), stored_times_ns(kept)
    steps = [(after - before) % 256 for before, after in pairwise(numbers)]
    first = next((at for at, step in enumerate(steps, 1) if step >= AGAIN), len(numbers))  # the server begins again
    assert min(steps[: first - 1]) > 0  # in display order: each is later than the one before
    assert sum(steps[: first - 1]) < frames
    assert times_ns == sorted(set(times_ns))
    assert first >= stored, camera.ledger
    assert check_drive(out).ok
