"""The second look: what is joined, what is filled, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.engines.errors import ConfigError, InputError
from roadmask.tracking import LostTracks, OfflineConfig, Refined, Tracks, refine
from support.scenes import CAR, MS, PEDESTRIAN, frame, square

NO_LOST = LostTracks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def tracks(*seen: tuple[int, float], category_ids: list[int] | None = None) -> Tracks:
    """One frame of (id, x) squares."""
    count = len(seen)
    return Tracks(
        frame(*(square(x) for _, x in seen), category_ids=category_ids),
        np.array([track for track, _ in seen], np.int64),
        np.ones(count, np.uint8),
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.float32),
        NO_LOST,
    )


def look(frames: list[Tracks], config: OfflineConfig | None = None, period_ms: int = 100) -> Refined:
    return refine(frames, [n * period_ms * MS for n in range(len(frames))], config)


def broken(speed: float = 5, jump: float = 0, gap: int = 5, label: int = CAR) -> list[Tracks]:
    """A car at constant speed that goes unseen and comes back with another id, perhaps elsewhere."""
    before = [tracks((1, speed * n)) for n in range(6)]
    after = [tracks((7, speed * n + jump), category_ids=[label]) for n in range(6 + gap, 12 + gap)]
    return [*before, *[tracks()] * gap, *after]


def test_a_track_is_joined_and_its_gap_filled() -> None:
    refined = look(broken())
    assert refined.joined == 1
    assert {track for ids in refined.track_ids for track in ids.tolist()} == {1}
    assert refined.filled.frames.tolist() == [6, 7, 8, 9, 10]
    assert refined.filled.track_ids.tolist() == [1] * 5
    np.testing.assert_allclose(refined.filled.boxes, [square(5 * n) for n in range(6, 11)], atol=1e-4)
    assert refined.filled.nearest.tolist() == [[5, 0]] * 3 + [[11, 0]] * 2


@pytest.mark.parametrize(
    ("frames", "config"),
    [
        (broken(jump=90), None),  # comes back where it cannot be
        (broken(label=PEDESTRIAN), None),  # as something else
        (broken(gap=25), None),  # too late
        (broken(), OfflineConfig(join_gap_s=0)),  # switched off
        (broken(), OfflineConfig(join_gap_s=0.5)),  # the gap is 0.6 s
        ([tracks((1, 5 * n), (7, 5 * n + 3)) for n in range(6)], None),  # both at once
    ],
)
def test_what_is_not_the_same_is_not_joined(frames: list[Tracks], config: OfflineConfig | None) -> None:
    refined = look(frames, config)
    assert refined.joined == 0
    assert len(refined.filled) == 0
    for ids, given in zip(refined.track_ids, frames, strict=True):
        assert ids.tolist() == given.track_ids.tolist()


def test_three_parts_become_one() -> None:
    parts = [tracks((1 + n // 10, 3 * n)) if n % 10 < 7 else tracks() for n in range(27)]
    refined = look(parts)
    assert refined.joined == 2
    assert {track for ids in refined.track_ids for track in ids.tolist()} == {1}
    assert len(refined.filled) == 6


def test_the_one_that_fits_better_is_joined() -> None:
    frames = broken()
    frames[11:] = [tracks((7, 5 * n + 12), (8, 5 * n)) for n in range(11, 17)]
    assert look(frames).track_ids[11].tolist() == [7, 1]


def test_seconds_count_and_not_frames() -> None:
    """The same gap of five frames is 0.6 s at 10 fps and 3 s at 2 fps."""
    assert look(broken(), period_ms=500).joined == 0


def test_a_long_gap_is_not_filled_and_a_filling_can_be_switched_off() -> None:
    assert len(look(broken(gap=12)).filled) == 0
    assert look(broken(gap=12)).joined == 1
    assert len(look(broken(), OfflineConfig(fill_gap_s=0)).filled) == 0


def test_instances_without_a_track_stay_without() -> None:
    refined = look([tracks((0, 5 * n), (3, 200)) for n in range(4)])
    assert [ids.tolist() for ids in refined.track_ids] == [[0, 3]] * 4


def test_nothing_in_nothing_out() -> None:
    for frames in ([], [tracks()], [tracks((1, 0))]):
        refined = look(frames)
        assert len(refined.track_ids) == len(frames)
        assert len(refined.filled) == refined.joined == 0


def test_times_must_grow() -> None:
    with pytest.raises(InputError, match="increasing capture time"):
        refine([tracks(), tracks()], [5, 5])
    with pytest.raises(InputError, match="increasing capture time"):
        refine([tracks()], [])


@pytest.mark.parametrize("values", [{"join_gap_s": -1}, {"fill_gap_s": float("nan")}, {"fill_gap_s": True}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        OfflineConfig(**values)
