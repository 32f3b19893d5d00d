"""Tracks of one frame: what they refuse, and one index for every field of a seen instance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roadmask.engines.errors import InstancesError
from roadmask.tracking import IouTracker, Tracks
from support.scenes import MS, frame, square


def some_tracks() -> Tracks:
    tracker = IouTracker()
    for n in range(5):
        tracker.update(frame(square(50), square(150), square(300)), n * 40 * MS)
    # The third is lost, a fourth was just born.
    return tracker.update(frame(square(50), square(150), square(220)), 200 * MS)


def test_one_index_applies_to_every_field() -> None:
    tracks = some_tracks()
    chosen = tracks[np.array([2, 0])]
    assert chosen.track_ids.tolist() == [4, 1]
    assert chosen.states.tolist() == [0, 1]
    assert chosen.ages_ns.tolist() == [0, 200 * MS]
    assert chosen.velocities.shape == (2, 2)
    assert np.array_equal(chosen.instances.boxes, tracks.instances.boxes[[2, 0]])
    assert chosen.lost.track_ids.tolist() == [3]  # not seen, so not chosen from
    assert len(tracks[tracks.states == 1]) == 2
    assert len(tracks[:0]) == 0


def test_it_says_what_it_holds() -> None:
    assert repr(some_tracks()) == "Tracks(2 confirmed, 1 tentative, 1 lost)"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("track_ids", np.zeros(2, np.int64)),  # length
        ("track_ids", np.zeros(3, np.int32)),  # type
        ("states", np.zeros(3, np.int64)),
        ("ages_ns", np.zeros((3, 1), np.int64)),
        ("velocities", np.zeros((3, 4), np.float32)),  # x and y only
    ],
)
def test_wrong_fields_are_refused(name: str, wrong: np.ndarray) -> None:
    with pytest.raises(InstancesError, match=f"expected {name} as"):
        replace(some_tracks(), **{name: wrong})


def test_one_number_is_no_index() -> None:
    with pytest.raises(InstancesError, match="list of one position"):
        some_tracks()[0]  # type: ignore[index]
