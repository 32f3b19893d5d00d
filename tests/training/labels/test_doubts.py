"""Each sign of doubt is found where it was built in, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roadmask.training.labels.doubts import DOUBTFUL, Doubts, TrackHistory, find_doubts, ranked

SIZE = (200, 400)


def track(frames: Any = range(30), x: Any = None, side: Any = 20.0, score: Any = 0.95, **fields: Any) -> TrackHistory:
    """A square that moves 2 px to the right in each frame, 10 frames a second."""
    frames = np.array(list(frames), np.int64)
    left = np.asarray(50 + 2.0 * frames if x is None else x, np.float64)
    sides = np.broadcast_to(np.asarray(side, np.float64), frames.shape)
    top = fields.get("y", 50.0)
    boxes = np.stack([left, np.full(len(frames), top), left + sides, top + sides], axis=1)
    scores = np.broadcast_to(np.asarray(score, np.float64), frames.shape)
    return TrackHistory(frames, frames * 100_000_000, boxes, sides**2, scores, fields.get("category_id", 3), SIZE)


def signs(doubts: Doubts) -> dict[str, list[int]]:
    """Sign -> rows where it is."""
    return {name: np.flatnonzero(strength).tolist() for name, strength in doubts.signs.items() if strength.any()}


def test_a_steady_track_is_not_doubtful() -> None:
    grown = track(side=20 * 1.04 ** np.arange(30))  # a car that comes nearer
    for each in find_doubts({1: track(), 2: grown, 3: track([4]), 4: track([])}).values():
        assert not signs(each)
        assert each.rank == 0


def test_a_low_score_is() -> None:
    score = np.full(30, 0.9)
    score[7:9] = 0.55, 0.2
    [found] = find_doubts({1: track(score=score)}).values()
    assert signs(found) == {"score": [7, 8]}
    assert found.values[7:9] == pytest.approx([0.5, 1])
    assert found.why(7) == ("score",)
    assert found.why(0) == ()


def test_what_comes_and_goes_flickers_and_a_single_miss_does_not() -> None:
    assert not signs(find_doubts({1: track([*range(10), *range(11, 30)])})[1])
    found = find_doubts({1: track([n for n in range(40) if n not in (20, 22, 24)])})[1]
    assert set(signs(found)) == {"flicker"}
    rows = signs(found)["flicker"]
    assert 16 <= min(rows) < 20
    assert max(rows) < 27
    assert found.values.max() == 1


def test_sudden_changes_of_area_are_and_slow_ones_and_those_at_the_edge_are_not() -> None:
    once = np.full(30, 20.0)
    once[12] = 30
    assert signs(find_doubts({1: track(side=once)})[1]) == {"area": [12, 13]}
    stays = np.where(np.arange(30) < 12, 20.0, 30.0)
    assert signs(find_doubts({1: track(side=stays)})[1]) == {"area": [12]}
    leaving = track(x=np.full(30, 375.0), side=np.where(np.arange(30) < 12, 24.9, 15.0))
    assert not signs(find_doubts({1: leaving})[1]), "it touches the edge before"


def test_both_sides_of_a_gap_are() -> None:
    found = find_doubts({1: track([*range(10), *range(19, 30)])})[1]  # out of sight for a second
    assert signs(found) == {"gap": [9, 10]}
    assert found.values[9] == pytest.approx((1.0 - 0.3) / (1.5 - 0.3))


def test_two_objects_that_swap_their_places_are_and_two_that_pass_are_not() -> None:
    frames = np.arange(30)
    right, left = 50 + 4.0 * frames, 180 - 4.0 * frames  # they meet at frame 16
    assert not signs(find_doubts({1: track(x=right), 2: track(x=left)})[1])
    swapped = frames >= 17
    tracks = {
        1: track(x=np.where(swapped, left, right)),
        2: track(x=np.where(swapped, right, left)),
        3: track(x=right, category_id=1),
    }
    found = find_doubts(tracks)
    assert signs(found[1])["switch"][0] in (17, 18)
    assert max(signs(found[1])["switch"]) <= 19
    assert set(signs(found[2])) == {"switch"}
    assert not signs(found[3]), "of another class"


def test_signs_add_up_and_the_most_doubtful_comes_first() -> None:
    score = np.full(30, 0.9)
    score[9] = 0.65
    both = track([*range(10), *range(19, 39)], score=score)
    found = find_doubts({5: track(), 2: both, 7: track(score=0.4), 1: track()})
    score_alone, gap_alone = (float(found[2].signs[name][9]) for name in ("score", "gap"))
    assert found[2].values[9] == pytest.approx(1 - (1 - score_alone) * (1 - gap_alone))
    assert found[2].why(9) == ("gap", "score")
    assert ranked(found) == [7, 2, 1, 5]
    assert found[7].rank > DOUBTFUL
