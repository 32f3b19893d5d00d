"""The IoU tracker: life of a track, who is matched with whom, time, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.tracking import IouTracker, IouTrackerConfig, Tracker, TrackState
from support.scenes import CAR, MS, PEDESTRIAN, SIZE, frame, square
from support.tracker_runs import follow, same

TENTATIVE, CONFIRMED = TrackState.TENTATIVE, TrackState.CONFIRMED


def test_it_is_a_tracker() -> None:
    tracker: Tracker = IouTracker()
    assert len(tracker.update(Instances.empty(SIZE), 0)) == 0


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize(
    ("period_ms", "step", "confirmed_from"),
    [
        (33, 4.0, 4),  # 30 fps: the fifth frame is the first that lies 0.1 s after the first one
        (40, 4.0, 3),  # 25 fps
        (100, 10.0, 1),  # 10 fps: two hits, 0.1 s apart
        (333, 25.0, 1),  # 3 fps: two hits suffice, they lie far apart
        (900, 25.0, 1),  # about 1 fps: just within keep_lost_s
    ],
)
def test_one_car_keeps_its_id_at_any_frame_rate(period_ms: int, step: float, confirmed_from: int, masks: bool) -> None:
    frames = [frame(square(20 + n * step), masks=masks) for n in range(12)]
    tracks = follow(IouTracker(), frames, period_ms)
    assert [each.track_ids.tolist() for each in tracks] == [[1]] * 12
    assert [int(each.states[0]) for each in tracks] == [int(n >= confirmed_from) for n in range(12)]
    assert [int(each.ages_ns[0]) for each in tracks] == [n * period_ms * MS for n in range(12)]
    np.testing.assert_allclose(tracks[-1].velocities, [[step * 1000 / period_ms, 0]], rtol=1e-5)


def test_a_lost_track_is_predicted_and_comes_back_with_its_id() -> None:
    visible = [frame(square(20 + 10 * n), masks=True) for n in range(6)]
    hidden = [Instances.empty(SIZE)] * 5
    back = [frame(square(20 + 10 * 11), masks=True)]
    tracks = follow(IouTracker(), visible + hidden + back, period_ms=100)
    lost = tracks[8].lost
    assert (lost.track_ids.tolist(), lost.category_ids.tolist(), lost.lost_ns.tolist()) == ([1], [CAR], [300 * MS])
    np.testing.assert_allclose(lost.boxes, [square(20 + 10 * 8)], atol=1e-3)
    assert tracks[-1].track_ids.tolist() == [1]
    assert tracks[-1].states.tolist() == [CONFIRMED]
    assert len(tracks[-1].lost) == 0


@pytest.mark.parametrize(
    ("gap_ms", "expected"),
    [
        (1000, 1),  # exactly keep_lost_s: still known
        (1001, 2),  # a moment later: forgotten
    ],
)
@pytest.mark.parametrize("empty_frames", [False, True], ids=["no frames in the gap", "empty frames in the gap"])
def test_a_lost_track_is_dropped_after_keep_lost_s(gap_ms: int, expected: int, empty_frames: bool) -> None:
    tracker = IouTracker(IouTrackerConfig(keep_lost_s=1.0, recall_tentative_s=1.0))
    follow(tracker, [frame(square(50))] * 5)
    if empty_frames:
        follow(tracker, [Instances.empty(SIZE)] * 9, period_ms=100, start_ms=200)
    assert tracker.update(frame(square(50)), (160 + gap_ms) * MS).track_ids.tolist() == [expected]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (2, 1),  # missed at 40 and 80 ms, seen again at 120 ms: within keep_tentative_s at every missed frame
        (3, 2),  # also missed at 120 ms, last seen more than 0.1 s ago: dropped
    ],
)
def test_a_tentative_track_may_flicker_for_keep_tentative_s(missed: int, expected: int) -> None:
    config = IouTrackerConfig(recall_tentative_s=0)
    tracks = follow(IouTracker(config), [frame(square(50)), *[frame()] * missed, frame(square(50))])
    assert tracks[1].tentative_unseen.tolist() == [1]
    assert len(tracks[1].lost) == 0  # only confirmed tracks are reported as lost
    assert tracks[-1].track_ids.tolist() == [expected]
    assert tracks[-1].tentative_unseen.tolist() == []


@pytest.mark.parametrize(
    ("missed_ms", "expected"),
    [
        (1000, 1),  # still missed after exactly recall_tentative_s: may be found again
        (1001, 2),  # a moment later: forgotten
    ],
)
def test_a_tentative_track_that_was_given_up_may_be_found_again(missed_ms: int, expected: int) -> None:
    tracker = IouTracker(IouTrackerConfig(recall_tentative_s=1.0))
    tracker.update(frame(square(50)), 0)
    given_up = tracker.update(frame(), 200 * MS)
    assert (given_up.tentative_unseen.tolist(), len(given_up.lost)) == ([], 0)  # nobody waits for it
    tracker.update(frame(), missed_ms * MS)
    assert tracker.update(frame(square(50)), 1002 * MS).track_ids.tolist() == [expected]


@pytest.mark.parametrize(("newborn_still", "expected"), [(True, 5), (False, 6)])
def test_what_was_seen_once_may_stand_still_while_all_others_move(newborn_still: bool, expected: int) -> None:
    config = IouTrackerConfig(newborn_still=newborn_still, camera_share=1, far_overlap_min=1)
    tracker = IouTracker(config)
    for n in range(4):
        tracker.update(frame(*[square(20 + 20 * n, 10 + 45 * k) for k in range(4)]), n * 100 * MS)
    for n, x, track in ((4, 300, 5), (5, 298, expected)):
        scene = [square(20 + 20 * n, 10 + 45 * k) for k in range(4)]
        assert tracker.update(frame(*scene, square(x, side=20)), n * 100 * MS).track_ids.tolist()[-1] == track


@pytest.mark.parametrize(("recall_overlap_min", "expected"), [(-0.2, 1), (1.0, 2)])
def test_what_came_nearer_behind_an_obstacle_is_found_again(recall_overlap_min: float, expected: int) -> None:
    # 1.5 m tall, seen from 2 m aside, 30 m away and nearing by 1 m in each frame; hidden for 12 frames.
    def at(distance: float) -> tuple[float, float, float, float]:
        size, centre = 600 * 1.5 / distance, 200 + 600 * 2 / distance
        return centre - size / 2, 100 - size / 2, centre + size / 2, 100 + size / 2

    config = IouTrackerConfig(recall_overlap_min=recall_overlap_min, camera_share=1, far_overlap_min=1)
    tracker = IouTracker(config)
    follow(tracker, [frame(at(30.0 - n)) for n in range(10)], period_ms=100)
    for n in range(10, 22):
        tracker.update(frame(), n * 100 * MS)
    assert tracker.update(frame(at(8)), 2200 * MS).track_ids.tolist() == [expected]


@pytest.mark.parametrize(
    ("config", "confirmed_from"),
    [
        (IouTrackerConfig(confirm_hits=1, confirm_after_s=0), 0),  # believed at first sight
        (IouTrackerConfig(confirm_hits=2, confirm_after_s=0), 1),  # hits alone decide
        (IouTrackerConfig(confirm_hits=6, confirm_after_s=0), 5),
        (IouTrackerConfig(confirm_hits=1, confirm_after_s=0.2), 5),  # time alone decides
        (IouTrackerConfig(confirm_hits=2, confirm_after_s=5), None),  # never in this drive
    ],
)
def test_confirmation_needs_hits_and_time(config: IouTrackerConfig, confirmed_from: int | None) -> None:
    states = [int(each.states[0]) for each in follow(IouTracker(config), [frame(square(50))] * 8)]
    first = states.index(CONFIRMED) if CONFIRMED in states else None
    assert first == confirmed_from


def test_classes_never_share_a_track() -> None:
    tracker = IouTracker()
    follow(tracker, [frame(square(50), category_ids=[CAR])] * 5)
    assert tracker.update(frame(square(50), category_ids=[PEDESTRIAN]), 200 * MS).track_ids.tolist() == [2]
    both = tracker.update(frame(square(50), square(50), category_ids=[PEDESTRIAN, CAR]), 240 * MS)
    assert both.track_ids.tolist() == [2, 1]


def test_the_sum_of_overlaps_decides_not_the_best_pair() -> None:
    # The instance at 60 overlaps track 1 by 0.6 and track 2 by 0.45; the one at 30 overlaps track 1 alone, by 0.33.
    tracker = IouTracker(IouTrackerConfig(overlap_min=0.05))
    follow(tracker, [frame(square(50), square(75))] * 5)
    assert tracker.update(frame(square(60), square(30)), 200 * MS).track_ids.tolist() == [2, 1]


def test_masks_decide_where_boxes_cannot() -> None:
    # Two things in the same box: the upper left and the lower right triangle of it.
    dense = np.zeros((2, *SIZE), np.bool_)
    lower = np.tri(60, dtype=np.bool_)
    dense[0, 50:110, 100:160], dense[1, 50:110, 100:160] = ~lower, lower
    first = frame((100, 50, 160, 110), (100, 50, 160, 110), masks=True)
    masks = type(first.masks).from_dense(dense, SIZE)  # type: ignore[union-attr]
    scene = Instances(SIZE, first.boxes, np.array([0.9, 0.8], np.float32), first.category_ids, masks)
    swapped = Instances(SIZE, first.boxes, scene.scores, first.category_ids, masks[np.array([1, 0])])
    tracks = follow(IouTracker(), [scene, scene, scene, swapped])
    assert [each.track_ids.tolist() for each in tracks] == [[1, 2], [1, 2], [1, 2], [2, 1]]


def test_box_local_masks_and_exact_masks_give_the_same_tracks() -> None:
    rng = np.random.default_rng(0)
    of_box, exact = IouTracker(), IouTracker()
    for n in range(6):
        boxes = np.array([square(30 + 8 * n), square(300 - 9 * n, 60)], np.float32)
        masks = BoxMasks(rng.random((2, 28, 28), np.float32), boxes, SIZE)
        scores, category_ids = np.full(2, 0.9, np.float32), np.full(2, CAR, np.int64)
        a = of_box.update(Instances(SIZE, boxes, scores, category_ids, masks), n * 40 * MS)
        b = exact.update(Instances(SIZE, boxes, scores, category_ids, masks.to_rle()), n * 40 * MS)
        assert same(a, b)
    assert a.states.tolist() == [CONFIRMED, CONFIRMED]


def test_boxes_and_masks_may_take_turns() -> None:
    frames = [frame(square(50 + 3 * n), masks=n % 2 == 0) for n in range(8)]
    assert {int(each.track_ids[0]) for each in follow(IouTracker(), frames)} == {1}


def test_weak_instances_go_on_with_tracks_but_start_none() -> None:
    tracker = IouTracker(IouTrackerConfig(score_confident=0.5))
    assert tracker.update(frame(square(50), scores=[0.4]), 0).track_ids.tolist() == [0]
    tracks = follow(tracker, [frame(square(50))] * 4 + [frame(square(50), scores=[0.3])] * 3, start_ms=40)
    assert [int(each.track_ids[0]) for each in tracks] == [1] * 7
    assert tracks[-1].states.tolist() == [CONFIRMED]


@pytest.mark.parametrize(
    ("x", "score", "expected"),
    [
        (75, 0.4, 1),  # overlaps the track by a quarter
        (82, 0.4, 0),  # touches where it should be: rather a false one
        (82, 0.5, 1),  # a confident one is taken for the thing, which sped up
    ],
)
def test_weak_instances_are_never_matched_from_afar(x: float, score: float, expected: int) -> None:
    tracker = IouTracker(IouTrackerConfig(score_confident=0.5, camera_share=1))
    follow(tracker, [frame(square(50))] * 5)
    assert tracker.update(frame(square(x), scores=[score]), 200 * MS).track_ids.tolist() == [expected]


@pytest.mark.parametrize(
    ("side", "score", "far_doubt", "expected"),
    [
        (26, 1.0, 3.0, 1),  # touches the track and is sure to be there
        (26, 0.8, 3.0, 2),  # may be false, and is not as large
        (26, 0.8, 0.0, 1),  # switched off
        (40, 0.8, 3.0, 1),  # as large as what was seen a moment ago
    ],
)
def test_the_less_sure_an_instance_the_nearer_it_must_be(
    side: float, score: float, far_doubt: float, expected: int
) -> None:
    tracker = IouTracker(IouTrackerConfig(far_doubt=far_doubt, camera_share=1))
    follow(tracker, [frame(square(50))] * 5)
    found = tracker.update(frame(square(86, side=side), scores=[score]), 200 * MS)
    assert found.track_ids.tolist() == [expected]


@pytest.mark.parametrize(("whole_fade_s", "expected"), [(2.0, 1), (0.0, 2)])
def test_what_was_last_seen_in_part_is_recalled_as_a_whole(whole_fade_s: float, expected: int) -> None:
    # A car drives behind a wall that begins at x = 150, is hidden for 0.7 s, and is seen whole again.
    def seen(n: int) -> tuple[float, float, float, float]:
        return 50 + 6.0 * n, 50, min(90 + 6.0 * n, 150), 90

    config = IouTrackerConfig(whole_fade_s=whole_fade_s, camera_share=1, far_overlap_min=1)
    tracker = IouTracker(config)
    follow(tracker, [frame(seen(n)) for n in range(15)], period_ms=100)
    for n in range(15, 22):
        tracker.update(frame(), n * 100 * MS)
    back = frame(square(50 + 6.0 * 22))
    assert tracker.update(back, 2200 * MS).track_ids.tolist() == [expected]


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize(("duplicate_iou", "expected"), [(0.85, [1, 0, 0, 2]), (1.0, [1, 2, 3, 4])])
def test_duplicates_start_no_track(duplicate_iou: float, expected: list[int], masks: bool) -> None:
    # Two boxes more of the same car, and a pedestrian at the same place.
    scene = (square(50), square(51), square(51, 51), square(50))
    given = frame(*scene, category_ids=[CAR, CAR, CAR, PEDESTRIAN], scores=[0.9, 0.8, 0.7, 0.6], masks=masks)
    tracks = follow(IouTracker(IouTrackerConfig(duplicate_iou=duplicate_iou)), [frame(square(50), masks=masks), given])
    assert tracks[1].track_ids.tolist() == expected
    # So it is where nothing is followed yet.
    assert IouTracker(IouTrackerConfig(duplicate_iou=duplicate_iou)).update(given, 0).track_ids.tolist() == expected


def test_what_shares_a_box_but_no_mask_is_no_duplicate() -> None:
    left, right = np.zeros((2, 1, *SIZE), np.bool_)
    left[0, 50:90, 50:70] = right[0, 50:90, 70:90] = True
    masks = RleMasks.from_dense(np.concatenate([left, right]), SIZE)
    boxes = np.array([square(50), square(50)], np.float32)
    both = Instances(SIZE, boxes, np.array([0.9, 0.8], np.float32), np.full(2, PEDESTRIAN, np.int64), masks)
    assert IouTracker().update(both, 0).track_ids.tolist() == [1, 2]


@pytest.mark.parametrize(("score", "expected"), [(0.4, [0, 0, 0]), (0.9, [1, 2, 3])])
def test_weak_instances_tell_nothing_of_the_camera(score: float, expected: list[int]) -> None:
    tracker = IouTracker(IouTrackerConfig(score_confident=0.5, far_overlap_min=1))
    follow(tracker, [frame(square(50), square(150), square(250))] * 5)
    moved = frame(square(95), square(195), square(295), scores=[score] * 3)
    assert sorted(tracker.update(moved, 200 * MS).track_ids.tolist()) == expected


def test_a_confirmed_track_claims_an_instance_before_a_tentative_one() -> None:
    tracker = IouTracker()
    follow(tracker, [frame(square(50))] * 5)  # track 1, confirmed
    tracker.update(frame(square(62)), 200 * MS)  # goes on with track 1
    tracker.update(frame(square(62), square(95)), 240 * MS)  # track 2, tentative
    # One instance between both, nearer to the tentative track.
    assert tracker.update(frame(square(82)), 280 * MS).track_ids.tolist() == [1]
