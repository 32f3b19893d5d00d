"""Real cars and pedestrians: ids against KITTI MOTS ground truth whose ids were taken away.

The bounds lie some way below what the tracker reaches and well above what it reaches with motion or masks broken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadmask.tracking import Backfill, IouTracker, IouTrackerConfig
from support.mots import IdQuality, TruthFrame, id_quality, read_mots

PERIOD_NS = 100_000_000  # KITTI is filmed at 10 fps


def ids_kept(frames: list[TruthFrame], every: int, config: IouTrackerConfig | None = None) -> IdQuality:
    tracker, backfill = IouTracker(config), Backfill[TruthFrame]()
    out = []
    for n in range(0, len(frames), every):
        out += backfill.push(frames[n], tracker.update(frames[n].instances, n * PERIOD_NS))
    out += backfill.flush()
    return id_quality([truth.true_ids for truth, _ in out], [tracks.track_ids for _, tracks in out])


@pytest.mark.parametrize(
    ("sequence", "every", "idf1", "switches"),
    [
        ("0018", 1, 0.98, 2),  # cars on a motorway at 10 fps: 1.0, 0 switches
        ("0018", 3, 0.95, 4),  # and at 3.3 fps: 0.996, 0 switches
        ("0014", 1, 0.95, 11),  # cars and pedestrians in a town, the camera turning: 0.982, 7 switches
        ("0017", 1, 0.91, 11),  # pedestrians crossing behind one another: 0.944, 7 switches
        ("0017", 3, 0.88, 22),  # 0.915, 18 switches
    ],
)
def test_ids_are_kept(data_dir: Path, sequence: str, every: int, idf1: float, switches: int) -> None:
    frames = read_mots(data_dir / "kitti_mots_gt" / f"{sequence}.txt")
    reached = ids_kept(frames, every)
    assert reached.idf1 >= idf1
    assert reached.switches <= switches


def test_the_bounds_notice_a_tracker_that_cannot_predict(data_dir: Path) -> None:
    frames = read_mots(data_dir / "kitti_mots_gt" / "0018.txt")
    blind = IouTrackerConfig(velocity_smoothing_s=1e6, overlap_min=0.5, far_overlap_min=1, camera_share=1)
    assert ids_kept(frames, 3, blind).idf1 < 0.9


def test_rows_may_come_in_any_order(data_dir: Path) -> None:
    path = data_dir / "kitti_mots_gt" / "0014.txt"
    assert ids_kept(read_mots(path, seed=1), 1) == ids_kept(read_mots(path, seed=2), 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([[1, 2], [1, 2], [1, 2], [1, 2]], IdQuality(1.0, 0)),  # perfect
        ([[5, 6], [5, 6], [6, 5], [6, 5]], IdQuality(0.5, 2)),  # swapped half way
        ([[1, 2], [1, 2], [0, 2], [1, 2]], IdQuality(14 / 15, 0)),  # one instance without a track is no switch
        ([[1, 2], [3, 4], [5, 6], [7, 8]], IdQuality(0.25, 6)),  # a new id in each frame
    ],
)
def test_the_measure_itself(given: list[list[int]], expected: IdQuality) -> None:
    assert id_quality([np.array([1, 2])] * 4, [np.array(each) for each in given]) == expected
