"""What is said of runs is what was measured. No test looks at a time."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.engines import BoxMasks, Instances, ScriptedSegmenter
from roadmask.evaluation.speed.looped import LoopedSource
from roadmask.evaluation.speed.run import Replay, RunBenchmark, benchmark_run
from roadmask.streaming.frames import Frame

SIZE = (90, 160)
CLIP = "synthetic:?seconds=1&width=160&height=90"


def test_a_looped_clip_goes_on_in_time_and_count() -> None:
    with LoopedSource("front", [CLIP], period=4, total=10) as source:
        frames = list(source)
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.frame_index for frame in frames] == list(range(10))
    times = [frame.timestamp_ns for frame in frames]
    assert len(set(np.diff(times))) == 1
    assert np.array_equal(frames[1].image, frames[5].image)
    assert not np.array_equal(frames[1].image, frames[2].image)


def found() -> Instances:
    probabilities = np.full((1, 28, 28), 0.9, np.float32)
    boxes = np.array([[20, 20, 60, 50]], np.float32)
    return Instances(
        SIZE, boxes, np.array([0.9], np.float32), np.array([3], np.int64), BoxMasks(probabilities, boxes, SIZE)
    )


def test_replayed_masks_are_encoded_anew() -> None:
    replay = Replay([found()])
    first, second = (replay(np.zeros((*SIZE, 3), np.uint8), n) for n in range(2))
    assert first.masks is not None
    assert second.masks is not None
    assert first.masks is not second.masks
    assert first.masks.to_rle().counts == second.masks.to_rle().counts
    assert not (set(vars(second.masks)) - {"probabilities", "boxes", "image_size"} - set(vars(first.masks)))


def test_a_run_that_fills_frames_gives_its_engine_fewer_images() -> None:
    segmenter = ScriptedSegmenter([found()])
    record = benchmark_run(CLIP, RunBenchmark(frames=8, rounds=1, replayed=100, detect_every=4), lambda: segmenter)
    assert record["detect_every"] == 4
    assert segmenter.images == 8 + 2 + 8  # once to know what is found, the run, and the engine alone


def test_a_run_is_measured_beside_its_engine() -> None:
    record = benchmark_run(
        CLIP, RunBenchmark(frames=8, rounds=1, replayed=100), lambda: ScriptedSegmenter([found()], delay_s=0.02)
    )
    assert (record["frames"], record["engine"], record["ray"], record["spilled_bytes"]) == (8, "scripted", False, None)
    assert record["mean_instances"] == 1
    assert record["ratio"] == pytest.approx(record["fps"] / record["engine_fps"], rel=0.01, abs=1e-4)
    assert (record["replayed"], record["steady_from"]) == (100, 25)
    assert record["overhead_cpu_ms"] > 0
    assert record["uss_growth_mb"] is not None
