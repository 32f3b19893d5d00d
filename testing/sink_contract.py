"""What every sink of tracks must do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, CLASS_NAMES
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.sinks.sink import CameraDescription, ResumePoint, TrackedFrame, TrackSink
from roadmask.tracking import Backfill, IouTracker, Tracks

CAMERA = "front"
DESCRIPTION = CameraDescription({CAR: CLASS_NAMES[CAR]}, {"kind": "contract", "name": "drive"}, fps=10.0)
LOST_AT, EMPTY_AT, EPOCH_AT, END = 5, 8, 12, 20
"""Frame indices: one that gives no image, one without instances, the first of the second epoch, and the end."""


def tracked_frames() -> Iterator[TrackedFrame | LostFrame]:
    """Yields what a recorded run hands to its sinks: one car that drives to the right, in two epochs.

    Every array is read-only, as sinks must not change what they are given.
    """
    track, backfill = TrackStage(IouTracker()), Backfill[TrackedFrame]()
    epoch = 0
    for index in range(END):
        if index == LOST_AT:
            yield from _resolved(backfill.flush())
            yield LostFrame(CAMERA, epoch, index, index * 100_000_000)
            continue
        if index == EPOCH_AT:
            yield from _resolved(backfill.flush())
            epoch = 1
        image, instances = _image(index, (24, 48) if epoch else (48, 96))
        frame = Frame(CAMERA, epoch, index, index * 100_000_000, "media", image)
        tracks = track(frame, instances)
        tracked = TrackedFrame(frame, tracks, track.state())
        yield from _resolved(backfill.push(tracked, tracks))
    yield from _resolved(backfill.flush())


def _resolved(frames: list[tuple[TrackedFrame, Tracks]]) -> Iterator[TrackedFrame]:
    for tracked, tracks in frames:
        resolved = replace(tracked, tracks=tracks)
        for array in _arrays(resolved):
            array.setflags(write=False)  # a sink that writes into it fails
        yield resolved


def _arrays(tracked: TrackedFrame) -> list[NDArray[np.generic]]:
    tracks = tracked.tracks
    instances = tracks.instances
    return [
        tracked.frame.image,
        *(instances.boxes, instances.scores, instances.category_ids),
        *(tracks.track_ids, tracks.states, tracks.ages_ns, tracks.velocities),
        *(tracks.lost.track_ids, tracks.lost.category_ids, tracks.lost.boxes, tracks.lost.lost_ns),
    ]


def _image(index: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Instances]:
    height, width = size
    image = np.full((height, width, 3), 60, np.uint8)
    left, top = 2 * index % (width // 2), height // 2
    image[top : top + 10, left : left + 18] = 200
    if index == EMPTY_AT:
        return image, Instances.empty(size)
    boxes = np.array([[left, top, left + 18, top + 10]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, size)
    return image, Instances(size, boxes, np.array([0.9], np.float32), np.array([CAR]), masks)


class SinkContract:
    """The tests of a sink.

    A subclass provides `make`, and usually `check`::

        class TestMySink(SinkContract):
            def make(self, folder):
                return MySink(folder / "tracks.csv")

            def check(self, folder, written, lost):
                assert len(read_my_file(folder / "tracks.csv")) == len(written)
    """

    def make(self, folder: Path) -> TrackSink:
        """Returns a new sink that writes into an empty folder, or anywhere else."""
        raise NotImplementedError("provide the method 'make' in the subclass of SinkContract")

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        """Compares what the sink wrote with what it was given; called after `close`."""

    @pytest.fixture
    def sink(self, tmp_path: Path) -> TrackSink:
        """The sink under test."""
        return self.make(tmp_path)

    def write_all(self, sink: TrackSink, *, commit: bool = False) -> tuple[list[TrackedFrame], list[LostFrame]]:
        """Opens the sink and hands it a whole drive; returns what it was given."""
        sink.open(CAMERA, DESCRIPTION)
        written, lost = [], []
        for item in tracked_frames():
            if isinstance(item, LostFrame):
                sink.lost(item)
                lost.append(item)
            else:
                if not sink.needs_image:
                    image = np.zeros_like(item.frame.image)
                    item = replace(item, frame=replace(item.frame, image=image))  # noqa: PLW2901 - as a run does
                sink.write(item)
                written.append(item)
            if commit:
                sink.commit()
        return written, lost

    def test_says_whether_it_needs_images(self, sink: TrackSink) -> None:
        """`needs_image` is known before `open`."""
        assert isinstance(sink.needs_image, bool)

    @pytest.mark.parametrize("commit", [False, True])
    def test_takes_a_whole_drive(self, sink: TrackSink, tmp_path: Path, commit: bool) -> None:
        """Frames of two epochs, one without instances, and a lost one; with and without commits between them."""
        written, lost = self.write_all(sink, commit=commit)
        sink.close(END)
        assert [*(tracked.frame.frame_index for tracked in written), LOST_AT].count(LOST_AT) == len(lost) == 1
        self.check(tmp_path, written, lost)

    def test_a_new_sink_has_nothing_to_resume(self, sink: TrackSink) -> None:
        """`open` returns None or an empty `ResumePoint`."""
        point = sink.open(CAMERA, DESCRIPTION)
        assert point is None or point == ResumePoint() or (point.epoch is None and not point.ledger.accounted)
        sink.close(0)

    def test_changes_nothing_that_it_is_given(self, sink: TrackSink) -> None:
        """The same frame goes to every sink of the camera."""
        sink.open(CAMERA, DESCRIPTION)
        for item in tracked_frames():
            if isinstance(item, LostFrame):
                sink.lost(item)
                continue
            before = [array.copy() for array in _arrays(item)]
            sink.write(item)
            for array, copy in zip(_arrays(item), before, strict=True):
                np.testing.assert_array_equal(array, copy)
        sink.close(END)

    def test_a_camera_without_frames(self, sink: TrackSink, tmp_path: Path) -> None:
        """A source may end before its first frame."""
        sink.open(CAMERA, DESCRIPTION)
        sink.commit()
        sink.close(0)
        self.check(tmp_path, [], [])

    def test_a_run_that_is_stopped_keeps_what_was_written(self, sink: TrackSink, tmp_path: Path) -> None:
        """`close(None)` ends a camera whose source has more frames."""
        written, lost = self.write_all(sink)
        sink.close(None)
        self.check(tmp_path, written, lost)

    @pytest.mark.parametrize("moment", ["before open", "after open", "after frames", "after close"])
    def test_abort_never_raises(self, sink: TrackSink, moment: str) -> None:
        """A run that failed aborts every sink, whatever its state, and may do so twice."""
        if moment == "after open":
            sink.open(CAMERA, DESCRIPTION)
        if moment in {"after frames", "after close"}:
            self.write_all(sink)
        if moment == "after close":
            sink.close(END)
        sink.abort()
        sink.abort()
