"""Tracks that go on unseen: where the detector misses things, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from roadmask.engines.errors import ConfigError
from roadmask.tracking import Coasting, IouTracker, Tracks, coasted
from support.scenes import CAR, MS, PEDESTRIAN, frame, square

PERIOD_MS = 100


def driven(missed: Iterable[int], frames: int = 60, *, label: int = CAR) -> list[Tracks]:
    """A car that a detector misses in some frames."""
    tracker, gaps = IouTracker(), set(missed)
    return [
        tracker.update(
            frame(*([] if n in gaps else [square(20 + 4 * n)]), category_ids=None if n in gaps else [label]),
            n * PERIOD_MS * MS,
        )
        for n in range(frames)
    ]


def coasting_frames(tracked: list[Tracks], coasting: Coasting | None = None) -> list[int]:
    times_ns = [n * PERIOD_MS * MS for n in range(len(tracked))]
    return coasted(tracked, times_ns, coasting or Coasting()).frames.tolist()


def test_a_detector_that_misses_things_is_known_by_their_coming_back() -> None:
    gaps = (10, 15, 20, 25, 30, 35)
    # two came back for each of two that are taken to have gone, and one more
    assert coasting_frames(driven(gaps)) == [20, 25, 30, 35]


def test_where_a_track_coasts_it_moves_on() -> None:
    tracked = driven((10, 15, 20, 25, 30, 31))
    found = coasted(tracked, [n * PERIOD_MS * MS for n in range(60)], Coasting())
    assert found.frames.tolist() == [20, 25, 30, 31]
    np.testing.assert_allclose(found.boxes, [square(20 + 4 * n) for n in found.frames.tolist()], atol=0.5)
    assert set(found.track_ids.tolist()) == {1}
    assert found.nearest.tolist() == [[19, 0], [24, 0], [29, 0], [29, 0]]
    np.testing.assert_allclose(found.scores, 0.9, atol=1e-6)


def test_nothing_coasts_longer_than_it_may() -> None:
    gaps = (10, 15, 20, 25, *range(40, 46))
    assert coasting_frames(driven(gaps)) == [20, 25, 40, 41, 42]
    assert coasting_frames(driven(gaps), Coasting(0.15)) == [20, 25, 40]
    assert coasting_frames(driven(gaps), Coasting(0)) == []


def test_what_goes_for_good_does_not_coast() -> None:
    tracker = IouTracker()  # every second a car appears that is gone after half of it
    seen = [frame(*([square(100)] if n % 10 < 5 else [])) for n in range(80)]
    tracked = [tracker.update(each, n * PERIOD_MS * MS) for n, each in enumerate(seen)]
    # each comes back too late to have been missed
    assert coasting_frames(tracked) == []


def test_what_leaves_the_image_does_not_coast() -> None:
    # seen to come back often; then it drives out at the right border, and is never seen again
    tracked = driven((10, 15, 20, 25, *range(85, 95)), frames=95)
    assert coasting_frames(tracked) == [20, 25]


def test_classes_are_judged_apart() -> None:
    cars, people = driven((10, 15, 20, 25)), driven((10, 15, 20, 25), label=PEDESTRIAN)
    coasting = Coasting()
    assert [len(coasting.update(tracks, n * PERIOD_MS * MS)) for n, tracks in enumerate(cars)][20] == 1
    shifted = [coasting.update(tracks, (1000 + n) * PERIOD_MS * MS) for n, tracks in enumerate(people)]
    assert [len(rows) for rows in shifted][10] == 0


def test_later_frames_change_nothing() -> None:
    tracked = driven((10, 15, 20, 25, 26, 30))
    whole = coasting_frames(tracked)
    for length in (21, 26, 31):
        assert coasting_frames(tracked[:length]) == [n for n in whole if n < length]


@pytest.mark.parametrize("wrong", [(-1.0, 0.6), (float("nan"), 0.6), (0.3, 1.1), (0.3, -0.1)])
def test_settings_out_of_range(wrong: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Coasting(*wrong)
