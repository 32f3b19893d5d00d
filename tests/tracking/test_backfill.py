"""Back-filling: what waits, for how long, and with which ids it leaves."""

from __future__ import annotations

import numpy as np

from roadmask.engines.instances import Instances
from roadmask.tracking import Backfill, IouTracker, Tracks, TrackState, unconfirmed_to_none
from support.scenes import MS, SIZE, frame, square

PERIOD_MS = 40


def drive(frames: list[Instances]) -> list[tuple[int, list[tuple[int, Tracks]]]]:
    """Runs frames through tracker and back-fill; returns what left after each, the flush last."""
    tracker, backfill = IouTracker(), Backfill[int]()
    left = [(n, backfill.push(n, tracker.update(seen, n * PERIOD_MS * MS))) for n, seen in enumerate(frames)]
    return [*left, (len(frames), backfill.flush())]


def ids(frames: list[Instances]) -> list[list[int]]:
    out = [pair for _, released in drive(frames) for pair in released]
    assert [item for item, _ in out] == list(range(len(frames)))  # all of them, in their order
    for _, tracks in out:
        assert np.array_equal(tracks.track_ids > 0, tracks.states == TrackState.CONFIRMED)
    return [tracks.track_ids.tolist() for _, tracks in out]


def test_a_confirmed_track_has_its_id_from_its_first_frame() -> None:
    assert ids([frame(), *[frame(square(50 + n)) for n in range(6)]]) == [[], *[[1]] * 6]


def test_a_dropped_track_leaves_with_id_0() -> None:
    # The second instance is seen in two frames only, 40 ms apart: never confirmed.
    both, one = frame(square(50), square(200)), frame(square(50))
    assert ids([one] * 5 + [both] * 2 + [one] * 6) == [[1]] * 5 + [[1, 0]] * 2 + [[1]] * 6


def test_a_track_that_flickered_is_filled_back_over_the_gap() -> None:
    seen, missed = frame(square(50)), frame()
    assert ids([seen, missed, seen, seen, seen]) == [[1], [], [1], [1], [1]]


def test_what_is_tentative_at_the_end_leaves_with_id_0() -> None:
    # Confirmation takes 0.1 s, three periods: the second track is two periods old when the drive ends.
    assert ids([frame(square(50))] * 4 + [frame(square(50), square(200))] * 3) == [[1]] * 4 + [[1, 0]] * 3


def test_empty_frames_do_not_wait() -> None:
    assert [[item for item, _ in released] for _, released in drive([Instances.empty(SIZE)] * 3)] == [[0], [1], [2], []]


def test_frames_wait_until_the_track_is_decided_and_no_longer() -> None:
    released = {after: [item for item, _ in out] for after, out in drive([frame(square(50))] * 6)}
    assert released == {0: [], 1: [], 2: [], 3: [0, 1, 2, 3], 4: [4], 5: [5], 6: []}
    # Dropped in the first frame that lies more than keep_tentative_s after the last sighting.
    released = {after: [item for item, _ in out] for after, out in drive([frame(square(50)), *[frame()] * 5])}
    assert released == {0: [], 1: [], 2: [], 3: [0, 1, 2, 3], 4: [4], 5: [5], 6: []}


def test_what_is_held_stays_bounded_when_tracks_never_stop_being_born() -> None:
    rng = np.random.default_rng(0)
    tracker, backfill = IouTracker(), Backfill[int]()
    for n in range(300):  # clutter: a new tentative track in every frame, and one real car
        seen = frame(square(50), square(float(rng.uniform(100, 350)), float(rng.uniform(100, 150)), 8))
        backfill.push(n, tracker.update(seen, n * PERIOD_MS * MS))
        # confirm_after_s + keep_tentative_s = 0.2 s = 5 periods
        assert len(backfill) <= 6
    assert len(backfill.flush()) <= 6
    assert len(backfill) == 0


def test_live_cameras_report_ids_of_confirmed_tracks_only() -> None:
    tracker = IouTracker()
    live = [unconfirmed_to_none(tracker.update(frame(square(50)), n * PERIOD_MS * MS)) for n in range(5)]
    assert [each.track_ids.tolist() for each in live] == [[0], [0], [0], [1], [1]]
    assert [each.states.tolist() for each in live] == [[0], [0], [0], [1], [1]]
    assert all(each.track_ids.dtype == np.int64 for each in live)


def test_what_was_pushed_is_left_as_it_was() -> None:
    tracker, backfill = IouTracker(), Backfill[int]()
    pushed = [tracker.update(frame(square(50)), n * PERIOD_MS * MS) for n in range(5)]
    for n, tracks in enumerate(pushed):
        backfill.push(n, tracks)
    assert [int(each.states[0]) for each in pushed] == [0, 0, 0, 1, 1]
