"""The sample drive through the default engine, against its truth, and spread over Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines import CAR, PEDESTRIAN
from roadmask.sample_drive import DriveScore, SampleDrive, SampleDriveConfig, score_drive
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.streaming.store import check_drive, open_drive
from support.compare_stores import differing_files


@pytest.fixture(scope="module")
def score(drive: Path) -> DriveScore:
    front, rendered = open_drive(drive)["front"], SampleDrive(SampleDriveConfig(fps=10))
    stored = [front.frame(position) for position in range(len(front))]
    assert len(stored) == len(rendered) == 100
    truths = [rendered.truth(frame.frame_index) for frame in stored]
    return score_drive([frame.instances for frame in stored], truths, [frame.track_ids for frame in stored])


@pytest.mark.parametrize(("category", "recall"), [(CAR, 0.8), (PEDESTRIAN, 0.6)])
def test_finds_what_is_there(score: DriveScore, category: int, recall: float) -> None:
    assert score[category].recall >= recall
    assert score[category].precision >= 0.7


def test_most_objects_keep_one_id(score: DriveScore) -> None:
    for category in (CAR, PEDESTRIAN):
        assert score[category].tracks_per_object is not None
        assert 1 <= score[category].tracks_per_object < 2


def test_the_store_agrees_with_itself(drive: Path) -> None:
    assert check_drive(drive).ok


def test_a_track_reads_as_its_frames_do(drive: Path) -> None:
    front = open_drive(drive)["front"]
    longest = max(front.tracks(), key=lambda track: track.frames)
    for sighting in front.track(longest.track_id)[:: max(1, longest.frames // 5)]:
        frame = front.frame(sighting.position)
        (row,) = np.flatnonzero(frame.track_ids == longest.track_id)
        assert frame.instances.masks is not None
        assert frame.instances.masks[[row]].counts == sighting.mask.counts
        painted = front.id_map(sighting.position) == longest.track_id
        assert not (painted & ~next(sighting.mask.dense())).any()


class _Late:
    """A source whose frames come late, each by another time."""

    def __init__(self, source: FrameSource, seed: int) -> None:
        self._source, self._seed = source, seed

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        delays = np.random.default_rng(self._seed)
        for item in self._source:
            time.sleep(delays.uniform(0, 0.08))
            yield item


def _open_late(seed: int, camera: str, specs: Sequence[str]) -> FrameSource:
    return _Late(open_camera(camera, specs), seed)  # type: ignore[return-value]


@pytest.mark.ci
def test_two_cameras_store_the_same_bytes_in_process_and_on_ray(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    sources = {"front": "synthetic:?seconds=1", "rear": "synthetic:rear?fps=10&seconds=2"}
    jobs = [CameraJob(camera, (source,)) for camera, source in sources.items()]
    late = [
        CameraJob(camera, (source,), opener=partial(_open_late, seed))
        for seed, (camera, source) in enumerate(sources.items())
    ]
    config = RunConfig()
    record_drive(jobs, tmp_path / "one.zarr", config)
    module = __import__("sys").modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)  # the actors cannot import what only tests can
    try:
        record_drive(late, tmp_path / "ray.zarr", config, on_ray=True)
    finally:
        ray.cloudpickle.unregister_pickle_by_value(module)
    assert differing_files(tmp_path / "one.zarr", tmp_path / "ray.zarr") == []
    assert [len(camera) for camera in open_drive(tmp_path / "ray.zarr").values()] == [25, 20]
    assert not ray.is_initialized()
