"""What every export format must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks
from roadmask.engines.scripted import ScriptedSegmenter
from roadmask.streaming.formats.export import ExportJob
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.store import Drive, open_drive

FRAMES = 10
"""Number of frames of each camera."""
EMPTY_EVERY = 5
"""Every so many images one has no instances."""


def _street(image: NDArray[np.uint8], number: int) -> Instances:
    """Returns a car that drives to the right, a pedestrian in front of it, and a weak car that starts no track."""
    size = image.shape[:2]
    if number % EMPTY_EVERY == EMPTY_EVERY - 1:
        return Instances.empty(size)
    left = 100 + 4 * number
    boxes = np.array([[left, 200, left + 80, 260], [150, 190, 170, 270], [400, 50, 440, 80]], np.float32)
    masks = BoxMasks(np.ones((3, 28, 28), np.float32), boxes, size)
    return Instances(size, boxes, np.array([0.9, 0.8, 0.3], np.float32), np.array([CAR, PEDESTRIAN, CAR]), masks)


def _nothing(image: NDArray[np.uint8], _number: int) -> Instances:
    return Instances.empty(image.shape[:2])


_paths: dict[tuple[tuple[str, ...], bool], Path] = {}
"""Stores that were recorded before: formats only read them, so all tests of a session share them."""


def _recorded(folders: pytest.TempPathFactory, *cameras: str, empty: bool = False) -> Drive:
    path = _paths.get((cameras, empty))
    if path is None or not path.exists():
        path = _paths[cameras, empty] = folders.mktemp("recorded") / "drive.zarr"
        sources = {camera: f"synthetic:{camera}?seconds={FRAMES / 25}" for camera in cameras}
        record_drive(sources, path, build=lambda: ScriptedSegmenter(_nothing if empty else _street))
    return open_drive(path)


class ExportContract:
    """The tests of an export format.

    A subclass provides `write` and usually `suffix` and `check`::

        class TestMyFormat(ExportContract):
            suffix = ".txt"

            def write(self, job, path):
                my_format.write(job, path)

            def check(self, path, drive):
                assert len(path.read_text().splitlines()) == len(drive["front"])

    The cameras of the drives are called `front` and `rear`.
    """

    suffix = ""
    """Suffix of the output file with the dot; empty if the output is a folder."""

    def write(self, job: ExportJob, path: Path) -> None:
        """Writes the job to a path at which nothing exists, in the format under test."""
        raise NotImplementedError("provide the method 'write' in the subclass of ExportContract")

    def check(self, path: Path, drive: Drive) -> None:
        """Compares an output with the drive, all of whose cameras were written."""

    @pytest.fixture
    def drive(self, tmp_path_factory: pytest.TempPathFactory) -> Drive:
        """A drive of one camera: frames with tracks, with an instance without a track, and without instances."""
        return _recorded(tmp_path_factory, "front")

    @pytest.fixture
    def drive_of_two(self, tmp_path_factory: pytest.TempPathFactory) -> Drive:
        """A drive of two cameras."""
        return _recorded(tmp_path_factory, "front", "rear")

    @pytest.fixture
    def empty_drive(self, tmp_path_factory: pytest.TempPathFactory) -> Drive:
        """A drive of one camera that found nothing."""
        return _recorded(tmp_path_factory, "front", empty=True)

    def written(self, job: ExportJob, folder: Path) -> Path:
        """Writes a job into an empty folder; returns the path of the output."""
        path = folder / f"out{self.suffix}"
        self.write(job, path)
        assert list(folder.iterdir()) == [path], "write makes its output and nothing beside it"
        assert path.is_file() if self.suffix else path.is_dir()
        return path

    def test_writes_a_whole_drive(self, drive: Drive, tmp_path: Path) -> None:
        """The output has what the format keeps of every frame."""
        assert len(drive["front"]) == FRAMES
        self.check(self.written(ExportJob(drive), tmp_path), drive)

    def test_writes_a_drive_without_instances(self, empty_drive: Drive, tmp_path: Path) -> None:
        """An empty road is a drive, too."""
        self.check(self.written(ExportJob(empty_drive), tmp_path), empty_drive)

    def test_writes_the_same_again(self, drive: Drive, tmp_path: Path) -> None:
        """The same drive gives the same bytes."""
        outputs = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            path = self.written(ExportJob(drive), tmp_path / name)
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            outputs.append([(file.relative_to(path), file.read_bytes()) for file in files if file.is_file()])
        assert outputs[0] == outputs[1]

    def test_writes_all_cameras_or_asks_for_one(self, drive_of_two: Drive, tmp_path: Path) -> None:
        """A format of a single camera calls `ExportJob.only_camera`, which raises this error."""
        try:
            path = self.written(ExportJob(drive_of_two), tmp_path)
        except InputError as error:
            assert "--camera" in str(error)  # noqa: PT017 - either is right
        else:
            self.check(path, drive_of_two)

    def test_writes_the_chosen_camera(self, drive_of_two: Drive, tmp_path: Path) -> None:
        """`ExportJob.camera` names the only camera to export."""
        self.written(ExportJob(drive_of_two, camera="rear"), tmp_path)

    def test_reports_progress(self, drive: Drive, tmp_path: Path) -> None:
        """The share rises to 1; `ExportJob.frames` reports it."""
        shares: list[float] = []
        self.written(ExportJob(drive, on_progress=shares.append), tmp_path)
        assert shares == sorted(shares)
        assert shares[-1] == 1
