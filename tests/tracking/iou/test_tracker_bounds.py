"""The IoU tracker at its bounds: time, epochs, crowds, the border, its state, its memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.errors import ConfigError, InputError, InstancesError
from roadmask.tracking import IouTracker, IouTrackerConfig, TrackState
from support.scenes import MS, frame, square
from support.tracker_runs import crowd, follow, same

TENTATIVE, CONFIRMED = TrackState.TENTATIVE, TrackState.CONFIRMED


@pytest.mark.parametrize(
    ("timestamp_ns", "reason"),
    [
        (5 * MS, "time stands still"),
        (4 * MS, "time goes back"),
    ],
)
def test_time_must_move_on(timestamp_ns: int, reason: str) -> None:
    tracker = IouTracker()
    before = tracker.update(frame(square(50)), 5 * MS)
    with pytest.raises(InputError, match=r"later than 5000000 ns.*start_epoch"):
        tracker.update(frame(square(50)), timestamp_ns)
    # The refused frame left no trace.
    assert tracker.update(frame(square(50)), 6 * MS).track_ids.tolist() == before.track_ids.tolist(), reason


def test_the_image_size_may_not_change_within_an_epoch() -> None:
    tracker = IouTracker()
    tracker.update(frame(square(50)), 0)
    with pytest.raises(InputError, match="start_epoch"):
        tracker.update(frame(square(50), size=(100, 100)), MS)


def test_an_epoch_ends_all_tracks_and_ids_go_on() -> None:
    tracker = IouTracker()
    follow(tracker, [frame(square(50))] * 5)
    tracker.start_epoch()
    tracks = tracker.update(frame(square(50), size=(150, 300)), 0)  # the clock may start again
    assert (tracks.track_ids.tolist(), tracks.states.tolist(), len(tracks.lost)) == ([2], [TENTATIVE], 0)


def test_ids_belong_to_the_object() -> None:
    first, second = IouTracker(), IouTracker()
    assert first.update(frame(square(50), square(200)), 0).track_ids.tolist() == [1, 2]
    assert second.update(frame(square(50)), 0).track_ids.tolist() == [1]
    third = IouTracker(first_id=first.next_id)
    assert third.update(frame(square(50)), 0).track_ids.tolist() == [3]
    with pytest.raises(InputError, match="at least 1"):
        IouTracker(first_id=0)


def test_the_same_input_gives_the_same_tracks() -> None:
    frames = crowd(np.random.default_rng(1), 30, 20)
    first, second = follow(IouTracker(), frames), follow(IouTracker(), frames)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert sum((each.states == CONFIRMED).sum() for each in first) > 200


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    frames = crowd(rng, 30, 20)
    orders = [rng.permutation(len(each)) for each in frames]
    straight = follow(IouTracker(), frames)
    shuffled = follow(IouTracker(), [each[order] for each, order in zip(frames, orders, strict=True)])
    for a, b, order in zip(straight, shuffled, orders, strict=True):
        assert same(a[order], b)


def test_500_instances() -> None:
    size = (1000, 2000)
    grid = [square(40.0 * column, 50.0 * row, 30) for row in range(20) for column in range(25)]
    frames = [frame(*[(a + n, b, c + n, d) for a, b, c, d in grid], size=size) for n in range(5)]
    tracks = follow(IouTracker(), frames)
    assert len({tuple(each.track_ids) for each in tracks}) == 1
    assert (tracks[-1].states == CONFIRMED).all()
    assert len(set(tracks[-1].track_ids)) == 500


def test_boxes_without_area_are_carried_along() -> None:
    # They overlap nothing, so they never belong to an older track, but they are no reason to stop.
    tracks = follow(IouTracker(), [frame((50, 50, 50, 90), square(100))] * 5)
    assert [int(each.track_ids[1]) for each in tracks] == [2] * 5
    assert tracks[-1].states.tolist() == [TENTATIVE, CONFIRMED]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"overlap_min": 0}, "overlap_min above 0"),
        ({"overlap_min": 1.1}, "overlap_min from 0 to 1"),
        ({"mask_weight": -0.1}, "mask_weight from 0 to 1"),
        ({"far_overlap_min": -1.5}, "far_overlap_min from -1 to 1"),
        ({"camera_share": 0}, "camera_share above 0"),
        ({"score_confident": 2}, "score_confident from 0 to 1"),
        ({"confirm_hits": 0}, "confirm_hits as a whole number"),
        ({"confirm_hits": 1.5}, "confirm_hits as a whole number"),
        ({"confirm_after_s": -1}, "confirm_after_s in seconds"),
        ({"keep_lost_s": 0}, "keep_lost_s in seconds, above 0"),
        ({"keep_tentative_s": 2, "recall_tentative_s": 0, "keep_lost_s": 1}, "at most keep_lost_s"),
        ({"recall_tentative_s": 5}, "recall_tentative_s at most keep_lost_s"),
        ({"follow_lost_s": -1}, "follow_lost_s in seconds"),
        ({"recall_overlap_min": 2}, "recall_overlap_min from -1 to 1"),
        ({"newborn_still": 1}, "newborn_still as true or false"),
        ({"velocity_smoothing_s": float("nan")}, "finite number"),
        ({"keep_lost_s": "1"}, "finite number"),
    ],
)
def test_config_is_checked(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IouTrackerConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize("cut", [0, 1, 4, 7])
def test_a_restored_tracker_goes_on_as_if_it_had_seen_everything(cut: int, masks: bool) -> None:
    frames = [frame(square(20 + 6 * n), square(90 - 3 * n), masks=masks) for n in range(6)]
    frames += [frame(square(20 + 6 * n), masks=masks) for n in range(6, 9)]
    uninterrupted = IouTracker()
    before = follow(uninterrupted, frames[:cut])
    state = uninterrupted.state()
    after = follow(uninterrupted, frames[cut:], start_ms=40 * cut)
    resumed = IouTracker()
    resumed.restore(state.to_arrays())  # taken before the tracker went on
    assert len(before) == cut
    assert all(same(a, b) for a, b in zip(after, follow(resumed, frames[cut:], start_ms=40 * cut), strict=True))
    assert resumed.next_id == uninterrupted.next_id
    assert all(values.dtype.kind in "iufb" for values in state.to_arrays().values())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: {},
        lambda arrays: arrays | {"tracks/boxes": arrays["tracks/boxes"][:, :3]},
        lambda arrays: arrays | {"tracks/hits": arrays["tracks/hits"][:1]},
        lambda arrays: arrays | {"tracks/ids": arrays["tracks/ids"].astype(np.float32)},
        lambda arrays: arrays | {"tracks/mask_bytes": arrays["tracks/mask_bytes"][:-1]},
        lambda arrays: arrays | {"last_frame": arrays["last_frame"][:2]},
        lambda arrays: {name: array for name, array in arrays.items() if name != "tracks/drift"},
    ],
)
def test_what_is_no_state_is_refused(
    spoil: Callable[[dict[str, NDArray[np.generic]]], dict[str, NDArray[np.generic]]],
) -> None:
    tracker = IouTracker()
    follow(tracker, [frame(square(20), square(90), masks=True)] * 3)
    with pytest.raises(InputError, match="expected"):
        IouTracker().restore(spoil(tracker.state().to_arrays()))


def test_entering_at_the_border_starts_a_track_and_leaving_ends_it() -> None:
    # 40 px wide, 10 px a frame, from beyond the left edge to beyond the right one of 400 px; boxes are cut there.
    def cut(n: int) -> list[tuple[float, float, float, float]]:
        x1, x2 = max(-40.0 + 10 * n, 0), min(10.0 * n, 400)
        return [(x1, 50, x2, 90)] if x2 > x1 else []

    tracker = IouTracker(IouTrackerConfig(keep_lost_s=2.0))
    inside = [n for n in range(60) if cut(n)]
    tracks = {n: tracker.update(frame(*cut(n)), n * 100 * MS) for n in range(inside[0], 70)}
    assert {tuple(tracks[n].track_ids.tolist()) for n in inside} == {(1,)}
    gone = inside[-1]
    assert tracks[gone + 1].lost.track_ids.tolist() == [1]
    assert len(tracks[gone + 21].lost) == 0


def test_boxes_outside_the_image_are_tracked_like_any_other() -> None:
    # Whatever an engine may say: beyond every edge, with masks that have no pixel there.
    beyond = [(-90.0, -90.0, -50.0, -50.0), (450.0, 50.0, 490.0, 90.0), (50.0, 250.0, 90.0, 290.0)]
    tracks = follow(IouTracker(), [frame(*beyond, masks=True)] * 5)
    assert len({tuple(each.track_ids.tolist()) for each in tracks}) == 1
    assert sorted(tracks[0].track_ids.tolist()) == [1, 2, 3]
    assert tracks[-1].states.tolist() == [CONFIRMED] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_never_reaches_the_tracker(value: float) -> None:
    with pytest.raises(InstancesError, match="finite"):
        frame((value, 50, 90, 90))
    with pytest.raises(InstancesError, match="finite"):
        frame(square(50), scores=[value])


def test_a_duplicate_gets_no_part_of_the_track() -> None:
    # A second box of the same thing, weaker than score_confident, belongs to nobody; the thing keeps its id.
    twice = frame(square(50), square(53), scores=[0.9, 0.4])
    tracks = follow(IouTracker(), [frame(square(50))] * 4 + [twice] * 4 + [frame(square(50))])
    assert [each.track_ids.tolist() for each in tracks[4:]] == [[1, 0]] * 4 + [[1]]


def test_three_shuffles_give_the_same_tracks() -> None:
    frames = crowd(np.random.default_rng(5), 25, 25)
    straight = follow(IouTracker(), frames)
    for seed in range(3):
        draw = np.random.default_rng(seed)
        orders = [draw.permutation(len(each)) for each in frames]
        shuffled = follow(IouTracker(), [each[order] for each, order in zip(frames, orders, strict=True)])
        assert all(same(a[order], b) for a, b, order in zip(straight, shuffled, orders, strict=True))


def test_ids_never_repeat_after_a_resume() -> None:
    tracker = IouTracker()
    given = [tracker.update(frame(square(30.0 * n)), n * 10_000 * MS).track_ids[0] for n in range(5)]
    resumed = IouTracker()
    resumed.restore(tracker.state().to_arrays())
    given += [resumed.update(frame(square(30.0 * n)), n * 10_000 * MS).track_ids[0] for n in range(5, 10)]
    assert given == list(range(1, 11))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("frames", [300, pytest.param(1_000_000, marks=pytest.mark.bars)])
def test_memory_is_bounded(frames: int) -> None:
    """What it knows depends on the last seconds alone, so a million frames need no more than these.

    Every instance is new. No track can outlive `keep_lost_s`, and nothing but the tracks and two numbers is kept.
    """
    config = IouTrackerConfig(keep_lost_s=1.0, follow_lost_s=1.0, recall_tentative_s=1.0, far_overlap_min=1)
    tracker = IouTracker(config)
    sizes = []
    places = [frame(square(45.0 * (7 * n % 8), 45.0 * (n // 8), 20), masks=True) for n in range(32)]
    for n in range(frames):
        tracker.update(places[n % 32], n * 100 * MS)
        if n < 300 or n % 1000 == 0:
            sizes.append(sum(values.nbytes for values in tracker.state().to_arrays().values()))
    assert tracker.next_id == frames + 1
    assert max(sizes[20:]) <= max(sizes[:20]) * 1.2
    kept = {name for name, value in vars(tracker).items() if not isinstance(value, int | tuple | IouTrackerConfig)}
    assert kept == {"_tracks"}
    assert len(tracker.state().tracks) <= 11
