"""Image in, tracks out, in one call."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from roadmask import Pipeline
from roadmask.engines import ScriptedSegmenter, SemanticMap
from roadmask.engines.errors import EngineError, InputError
from roadmask.streaming.frames import Frame
from roadmask.streaming.ignore import IgnoreRegion
from roadmask.tracking import Backfill, CameraTracker, IouTracker, Tracker, TrackState
from support.drives import ScriptedSource, bright_segmenter, find_bright


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


def images(count: int, **script: object) -> list[np.ndarray]:
    return [frame.image for frame in frames(frames=count, **script)]


def test_plain_images_with_times_give_the_tracks_of_frames() -> None:
    by_frame, by_image = Pipeline(bright_segmenter()), Pipeline(bright_segmenter())
    for frame in frames(frames=20):
        expected, tracks = by_frame.step(frame), by_image.step(frame.image, frame.timestamp_ns)
        assert tracks.track_ids.tolist() == expected.track_ids.tolist() == [1]
        assert tracks.states.tolist() == expected.states.tolist()
        assert tracks.velocities.tobytes() == expected.velocities.tobytes()


def test_an_image_of_another_size_begins_an_epoch() -> None:
    pipeline = Pipeline(bright_segmenter())
    step_ns = 100_000_000
    shown = images(20, epoch_at=10, image_size=(48, 192))
    ids = [pipeline.step(image, i * step_ns).track_ids.tolist() for i, image in enumerate(shown)]
    assert [ids[i] for i in (9, 10, 19)] == [[1], [2], [2]]


def test_a_frame_of_another_size_in_the_same_epoch_is_refused() -> None:
    pipeline = Pipeline(bright_segmenter())
    small, large = images(1)[0], images(1, image_size=(96, 192))[0]
    pipeline.step(Frame("front", 0, 0, 0, "media", small))
    with pytest.raises(InputError, match=r"images of \(48, 96\) in epoch 0, got one of \(96, 192\)"):
        pipeline.step(Frame("front", 0, 1, 1, "media", large))
    pipeline.step(Frame("front", 1, 1, 1, "media", large))


@pytest.mark.parametrize("timestamp", [None, 0.5, True, "0", np.float64(1)])
def test_an_image_needs_a_time_in_whole_nanoseconds(timestamp: object) -> None:
    with pytest.raises(InputError, match=r"time\.monotonic_ns"):
        Pipeline(bright_segmenter()).step(images(1)[0], timestamp)  # type: ignore[arg-type]


def test_numpy_integers_are_times_too() -> None:
    assert len(Pipeline(bright_segmenter()).step(images(1)[0], np.int64(5))) == 1


def test_a_frame_has_its_own_time() -> None:
    with pytest.raises(InputError, match="its own timestamp"):
        Pipeline(bright_segmenter()).step(frames(frames=1)[0], 5)


@pytest.mark.parametrize("image", [None, [[0]], np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_image_is_refused(image: object) -> None:
    with pytest.raises(InputError, match=r"expected an image as uint8 \(H, W, 3\) RGB"):
        Pipeline(bright_segmenter()).step(image, 0)  # type: ignore[arg-type]


def test_an_unknown_clock_is_refused() -> None:
    with pytest.raises(InputError, match="expected the clock media, unix, monotonic, got 'wall'"):
        Pipeline(bright_segmenter(), clock="wall")  # type: ignore[arg-type]


@pytest.mark.parametrize("tracker", [IouTracker(), CameraTracker()])
def test_a_semantic_map_passes_beside_the_instances_to_whatever_follows_the_tracks(tracker: Tracker) -> None:
    road = SemanticMap(np.full((6, 12), 149, np.uint8), (48, 96))
    segmenter = ScriptedSegmenter(lambda image, n: replace(find_bright(image, n), semantic=road))
    pipeline = Pipeline(segmenter, tracker, ignore=IgnoreRegion("0,0 9,0 9,9 0,9"))
    backfill: Backfill[int] = Backfill()
    decided = []
    for frame in frames(frames=10):
        decided += backfill.push(frame.frame_index, pipeline.step(frame))
    decided += backfill.flush()
    assert [tracks.semantic for _, tracks in decided] == [road] * 10
    assert decided[0][1][:0].semantic is road
