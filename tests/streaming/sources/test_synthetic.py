from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadmask.engines.errors import SourceError
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.testing import SourceContract


class TestSynthetic(SourceContract):
    frames = 3
    image_size = (96, 160)

    def open(self, folder: Path) -> FrameSource:
        return open_camera(self.camera, ["synthetic:?seconds=0.3&fps=10&height=96&width=160"])


def test_is_the_sample_drive() -> None:
    drive = SampleDrive(SampleDriveConfig(view="rear", seconds=0.2, fps=10, height=96, width=160))
    frames = list(open_camera("back", ["synthetic:rear?fps=10&seconds=0.2&height=96&width=160"]))
    assert [frame.timestamp_ns for frame in frames] == [0, 100_000_000]
    for index, frame in enumerate(frames):
        assert isinstance(frame, Frame)
        np.testing.assert_array_equal(frame.image, drive.render(index))


def test_ten_seconds_by_default() -> None:
    source = open_camera("front", ["synthetic:"])
    assert (source.fps, source.frames_expected) == (25, 250)
    assert source.describe()["image_size"] == [384, 640]
    assert source.describe()["config"]["view"] == "front"


def test_its_description_changes_with_what_it_shows() -> None:
    specs = ("front?seconds=1", "rear?seconds=1", "front?seconds=2", "front?seconds=1&seed=8")
    described = [str(open_camera("front", [f"synthetic:{spec}&height=96&width=160"]).describe()) for spec in specs]
    assert len(set(described)) == 4


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("synthetic:?secnds=4", "did you mean 'seconds'"),
        ("synthetic:?colour=4", "it takes seconds"),
        ("synthetic:?seconds=long", "positive number"),
        ("synthetic:?seconds=0", "positive number"),
        ("synthetic:?width=1.5", "whole number"),
        ("synthetic:?seconds=4000", "4000"),  # the sample drive's own limits
        ("synthetic:above", "above"),
    ],
)
def test_parameters_are_checked(spec: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        open_camera("front", [spec])


def test_stands_alone() -> None:
    with pytest.raises(SourceError, match="a camera of its own"):
        open_camera("front", ["synthetic:", "synthetic:rear"])
