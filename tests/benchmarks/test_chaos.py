"""A live run of four cameras that everything happens to, shortly; `python -m benchmarks.chaos` does it at length.

What kills processes is in test_run, what befalls one connection in sources/live/test_decoder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cameras import shrunk
from benchmarks.chaos.__main__ import missed_limits
from benchmarks.chaos.measuring import ChaosSettings, run_chaos
from roadmask.evaluation.speed.scripted import corner_segmenter
from support.video_factory import write_clip

FAULTS = (
    "server_killed",
    "garbage_bytes",
    "resolution_change",
    "wrong_password",
    "page_client_stops_reading",
    "ten_page_clients",
    "disk_full",
)


@pytest.mark.ci
def test_a_run_survives_everything_and_loses_count_of_nothing(
    tmp_path: Path, small_disk: Path, gstreamer: None, cluster: None
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", range(50), gop=5, b_frames=0)
    small = shrunk(clip, tmp_path / "small.mp4")
    records = run_chaos(
        clip, small, ChaosSettings(1.0, 2.0, 0.5), faults=FAULTS, build=corner_segmenter, folder=small_disk
    )
    assert [record["fault"] for record in records] == list(FAULTS)
    for record in records:  # a camera that did not come back would have raised
        assert record["unbalanced"] == 0
        assert record["stored_ok"], record["problem"]
    assert records[-1]["lost_watched"] > 0
    # one camera's address held a login
    written = b"".join(path.read_bytes() for path in (small_disk / "store").rglob("*") if path.is_file())
    assert b"rtsp://127.0.0.1" in written
    for secret in (b"correct-horse", b"eve:"):
        assert secret not in written


def test_limits_that_are_missed_are_named() -> None:
    records = [
        {"fault": "link_down", "recovered_s": 5.0, "others_p95_ratio": 2.0},
        {"fault": "frozen_stream", "recovered_s": 5.1, "others_p95_ratio": None},
        {"fault": "decoder_killed", "recovered_s": 7.9, "others_p95_ratio": 2.5},
        {"fault": "writer_killed", "recovered_s": 8.2, "others_p95_ratio": 1.0},
    ]
    assert missed_limits(records, 5, 8, 2) == [
        "frozen_stream: recovered after 5.1 s > 5 s",
        "decoder_killed: others 2.5 times as old > 2",
        "writer_killed: recovered after 8.2 s > 8 s",
    ]
