"""What every source must do; each source's tests subclass it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource


class SourceContract:
    camera = "front"
    frames: int
    """How many items the source of `open` yields."""
    image_size: tuple[int, int]

    def open(self, folder: Path) -> FrameSource:
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path: Path) -> FrameSource:
        return self.open(tmp_path)

    def test_every_captured_frame_is_yielded_once(self, source: FrameSource) -> None:
        assert source.captured == 0
        items = list(source)
        assert [item.frame_index for item in items] == list(range(self.frames))
        assert source.captured == self.frames

    def test_frames_are_upright_rgb_of_one_camera(self, source: FrameSource) -> None:
        for item in source:
            assert isinstance(item, Frame | LostFrame)
            assert item.camera == source.camera == self.camera
            if isinstance(item, Frame):
                assert item.image.dtype == np.uint8
                assert item.image.shape == (*self.image_size, 3)
                assert item.image.flags.c_contiguous
                assert item.clock == source.clock

    def test_time_moves_forward(self, source: FrameSource) -> None:
        times = [item.timestamp_ns for item in source if isinstance(item, Frame)]
        assert all(isinstance(time, int) for time in times)
        assert times[0] >= 0
        assert all(earlier < later for earlier, later in pairwise(times))

    def test_a_kept_frame_never_changes(self, source: FrameSource) -> None:
        kept = [item for item in source if isinstance(item, Frame)]
        copies = [frame.image.copy() for frame in kept]
        again = [item for item in source if isinstance(item, Frame)]
        for frame, copy, second in zip(kept, copies, again, strict=True):
            np.testing.assert_array_equal(frame.image, copy)
            np.testing.assert_array_equal(second.image, copy)
            assert second.timestamp_ns == frame.timestamp_ns

    def test_reading_again_starts_again(self, source: FrameSource) -> None:
        first = next(iter(source))
        items = list(source)
        assert items[0].frame_index == first.frame_index == 0
        assert source.captured == self.frames

    def test_describes_itself_the_same_twice_in_json(self, source: FrameSource, tmp_path: Path) -> None:
        text = json.dumps(source.describe())
        assert json.loads(text) == source.describe() == self.open(tmp_path).describe()
        assert source.describe()["image_size"] == list(self.image_size)
        assert str(tmp_path) not in text

    def test_says_what_to_expect(self, source: FrameSource) -> None:
        assert source.fps is None or source.fps > 0
        assert source.frames_expected is None or source.frames_expected > 0

    def test_closing_twice_is_fine_and_reading_then_is_refused(self, source: FrameSource) -> None:
        with source:
            frames = iter(source)
            next(frames)
        source.close()
        with pytest.raises(SourceError, match="closed"):
            list(frames)
        with pytest.raises(SourceError, match="closed"):
            next(iter(source))
