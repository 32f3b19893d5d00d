"""What every tracker must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks
from roadmask.tracking import Tracker, Tracks, TrackState

SIZE = (240, 400)
"""Height and width of the images in pixels."""
PERIOD_NS = 100_000_000
"""Time between two frames in nanoseconds."""


def drive(frames: int, *, masks: bool = True, gap: range = range(0)) -> list[Instances]:
    """Returns a car that drives to the right, absent from the frames in `gap`, and a pedestrian that stands still.

    A weak instance elsewhere appears in every third frame. All arrays are read-only.
    """
    made = []
    for n in range(frames):
        boxes, scores, category_ids = [[300, 80, 320, 140]], [0.8], [PEDESTRIAN]
        if n not in gap:
            boxes, scores, category_ids = (
                [[20 + 4 * n, 100, 80 + 4 * n, 140], *boxes],
                [0.9, *scores],
                [CAR, PEDESTRIAN],
            )
        if n % 3 == 2:
            boxes, scores, category_ids = [*boxes, [200, 10, 220, 20]], [*scores, 0.3], [*category_ids, CAR]
        made.append(_instances(boxes, scores, category_ids, masks=masks))
    return made


def _instances(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], category_ids: Sequence[int], *, masks: bool
) -> Instances:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    made = BoxMasks(np.ones((len(corners), 28, 28), np.float32), corners, SIZE) if masks else None
    found = Instances(SIZE, corners, np.array(scores, np.float32), np.array(category_ids, np.int64), made)
    for array in (found.boxes, found.scores, found.category_ids):
        array.setflags(write=False)  # a tracker that writes into it fails
    return found


def same_tracks(one: Tracks, other: Tracks) -> bool:
    """Returns whether two results are equal to the last bit."""
    names = ("track_ids", "states", "ages_ns", "velocities", "tentative_unseen")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names) and all(
        np.array_equal(getattr(one.lost, field.name), getattr(other.lost, field.name)) for field in fields(one.lost)
    )


class TrackerContract:
    """The tests of a tracker.

    A subclass provides `make`::

        class TestMyTracker(TrackerContract):
            def make(self):
                return MyTracker()

    The frames come at 10 frames per second. The tracker must confirm a thing that it is shown for two seconds.
    """

    def make(self) -> Tracker:
        """Returns a new tracker; two calls return trackers with the same settings."""
        raise NotImplementedError("provide the method 'make' in the subclass of TrackerContract")

    def follow(self, tracker: Tracker, frames: Sequence[Instances], first: int = 0) -> list[Tracks]:
        """Returns the tracks of frames, the first of which has the frame index `first`."""
        image = np.zeros((*SIZE, 3), np.uint8)
        return [tracker.update(found, (first + n) * PERIOD_NS, image) for n, found in enumerate(frames)]

    @pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
    def test_every_instance_has_its_place(self, masks: bool) -> None:
        """The instances keep their order; ids are unique in a frame; what has no track is tentative with id 0."""
        frames = drive(20, masks=masks, gap=range(8, 11))
        for found, tracks in zip(frames, self.follow(self.make(), frames), strict=True):
            assert np.array_equal(tracks.instances.boxes, found.boxes)
            ids = tracks.track_ids[tracks.track_ids != 0]
            assert (ids > 0).all()
            assert len(set(ids.tolist())) == len(ids)
            assert set(tracks.states.tolist()) <= {TrackState.TENTATIVE, TrackState.CONFIRMED}
            assert (tracks.states[tracks.track_ids == 0] == TrackState.TENTATIVE).all()
            assert not set(ids.tolist()) & set(tracks.lost.track_ids.tolist())

    def test_a_thing_keeps_its_id_and_is_confirmed(self) -> None:
        """A car that moves evenly and a pedestrian that stands still have one id each, and become confirmed."""
        tracks = self.follow(self.make(), drive(20))
        assert len({tuple(each.track_ids[:2].tolist()) for each in tracks}) == 1
        states = [each.states[:2].tolist() for each in tracks]
        assert states[-1] == [TrackState.CONFIRMED] * 2
        assert states == sorted(states), "a confirmed track stays confirmed"

    def test_an_image_without_instances(self) -> None:
        """An empty frame has no instances; confirmed tracks are lost in it."""
        tracker = self.make()
        ids = self.follow(tracker, drive(20))[-1].track_ids[:2]
        [empty] = self.follow(tracker, [Instances.empty(SIZE)], first=20)
        assert len(empty) == 0
        assert set(ids.tolist()) <= set(empty.lost.track_ids.tolist())

    def test_ids_are_never_used_again(self) -> None:
        """A new epoch ends all tracks; its tracks have new ids, and its clock may start again."""
        tracker = self.make()
        before = {each for tracks in self.follow(tracker, drive(20)) for each in tracks.track_ids.tolist()} - {0}
        tracker.start_epoch()
        after = {each for tracks in self.follow(tracker, drive(20)) for each in tracks.track_ids.tolist()} - {0}
        assert before
        assert after
        assert not before & after

    def test_time_moves_forward(self) -> None:
        """A frame that is not later than the one before is refused."""
        tracker = self.make()
        self.follow(tracker, drive(2))
        with pytest.raises(InputError, match="expected a frame later than"):
            self.follow(tracker, drive(1), first=1)

    @pytest.mark.parametrize("end", [0, 1, 7, 9, 15])
    def test_a_restored_tracker_continues(self, end: int) -> None:
        """A new tracker that gets the state after a frame gives the later frames the same tracks, also in a gap."""
        frames = drive(20, gap=range(8, 11))
        whole = self.follow(self.make(), frames)
        interrupted, resumed = self.make(), self.make()
        self.follow(interrupted, frames[:end])
        state = interrupted.state()
        self.follow(interrupted, frames[end:], first=end)  # must not change the state
        resumed.restore(state.to_arrays())
        rest = self.follow(resumed, frames[end:], first=end)
        assert all(map(same_tracks, rest, whole[end:]))

    def test_a_foreign_state_is_refused(self) -> None:
        """Arrays of something else are no state."""
        with pytest.raises(InputError):
            self.make().restore({"velocity": np.zeros(3)})
