"""Image in, tracks out, in one call."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from roadmask import Pipeline
from roadmask.engines.errors import EngineError, InputError
from roadmask.streaming.frames import Frame
from roadmask.streaming.ignore import IgnoreRegion
from roadmask.tracking import TrackState
from support.drives import ScriptedSource, bright_segmenter


def frames(**script: object) -> list[Frame]:
    return [item for item in ScriptedSource("front", **script) if isinstance(item, Frame)]


def test_a_car_keeps_one_id_and_becomes_confirmed() -> None:
    pipeline = Pipeline(bright_segmenter())
    pipeline.warm_up((48, 96))
    steps = [pipeline.step(frame) for frame in frames(frames=20)]
    assert {int(track_id) for tracks in steps for track_id in tracks.track_ids} == {1}
    assert steps[0].states.tolist() == [TrackState.TENTATIVE]
    assert steps[-1].states.tolist() == [TrackState.CONFIRMED]
    # it moves 2 px a frame at 10 frames a second
    assert steps[-1].velocities[0] == pytest.approx([20, 0], abs=1)


def test_starts_no_threads() -> None:
    pipeline = Pipeline(bright_segmenter())
    before = set(threading.enumerate())
    pipeline.step(frames(frames=1)[0])
    assert set(threading.enumerate()) <= before


def test_an_epoch_ends_the_tracks_and_ids_go_on() -> None:
    pipeline = Pipeline(bright_segmenter())
    steps = [pipeline.step(frame) for frame in frames(frames=20, epoch_at=10, image_size=(48, 192))]
    assert [steps[i].track_ids.tolist() for i in (9, 10, 19)] == [[1], [2], [2]]


def test_ignored_instances_are_not_followed() -> None:
    pipeline = Pipeline(bright_segmenter(), ignore=IgnoreRegion("0,20 96,20 96,48 0,48"))
    assert all(len(pipeline.step(frame)) == 0 for frame in frames(frames=5))


def test_time_that_stands_still_is_refused_and_the_next_frame_is_welcome() -> None:
    pipeline = Pipeline(bright_segmenter())
    first, second = frames(frames=2)
    pipeline.step(first)
    with pytest.raises(InputError, match="later"):
        pipeline.step(first)
    assert pipeline.step(second).track_ids.tolist() == [1]


def test_a_failing_engine_leaves_the_pipeline_usable() -> None:
    pipeline = Pipeline(bright_segmenter())
    first, poisoned, third = frames(frames=3, poisoned=frozenset({1}))
    pipeline.step(first)
    with pytest.raises(EngineError, match="poisoned"):
        pipeline.step(poisoned)
    assert pipeline.step(third).track_ids.tolist() == [1]


def test_an_image_of_another_type_is_refused() -> None:
    with pytest.raises(InputError):
        Pipeline(bright_segmenter()).step(Frame("front", 0, 0, 0, "media", np.zeros((48, 96), np.float32)))
