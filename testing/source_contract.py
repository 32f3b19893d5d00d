"""What every source of frames must do."""

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
    """The tests of a source.

    A subclass provides `open`, `frames` and `image_size`::

        class TestMySource(SourceContract):
            frames = 30
            image_size = (48, 64)

            def open(self, folder):
                write_my_recording(folder / "drive.rec", frames=30)
                return MySource(self.camera, folder / "drive.rec")
    """

    camera = "front"
    """Name that the source of `open` has."""
    frames: int
    """Number of items that the source of `open` yields."""
    image_size: tuple[int, int]
    """Height and width in pixels of the images that it yields."""

    def open(self, folder: Path) -> FrameSource:
        """Returns a new source; two calls with the same empty folder return sources of the same recording."""
        raise NotImplementedError("provide the method 'open' in the subclass of SourceContract")

    @pytest.fixture
    def source(self, tmp_path: Path) -> FrameSource:
        """The source under test."""
        return self.open(tmp_path)

    def test_every_captured_frame_is_yielded_once(self, source: FrameSource) -> None:
        """Frame indices count from 0 without gaps, and `captured` counts what was yielded."""
        assert source.captured == 0
        items = list(source)
        assert [item.frame_index for item in items] == list(range(self.frames))
        assert source.captured == self.frames

    def test_frames_are_upright_rgb_of_one_camera(self, source: FrameSource) -> None:
        """Images are contiguous uint8 (H, W, 3)."""
        for item in source:
            assert isinstance(item, Frame | LostFrame)
            assert item.camera == source.camera == self.camera
            if isinstance(item, Frame):
                assert item.image.dtype == np.uint8
                assert item.image.shape == (*self.image_size, 3)
                assert item.image.flags.c_contiguous
                assert item.clock == source.clock

    def test_time_moves_forward(self, source: FrameSource) -> None:
        """Timestamps of frames are integers and strictly increase."""
        times = [item.timestamp_ns for item in source if isinstance(item, Frame)]
        assert all(isinstance(time, int) for time in times)
        assert times[0] >= 0
        assert all(earlier < later for earlier, later in pairwise(times))

    def test_a_kept_frame_never_changes(self, source: FrameSource) -> None:
        """The source does not reuse the memory of an image, and reads the same again."""
        kept = [item for item in source if isinstance(item, Frame)]
        copies = [frame.image.copy() for frame in kept]
        again = [item for item in source if isinstance(item, Frame)]
        for frame, copy, second in zip(kept, copies, again, strict=True):
            np.testing.assert_array_equal(frame.image, copy)
            np.testing.assert_array_equal(second.image, copy)
            assert second.timestamp_ns == frame.timestamp_ns

    def test_reading_again_starts_again(self, source: FrameSource) -> None:
        """Each iteration begins at the first frame."""
        first = next(iter(source))
        items = list(source)
        assert items[0].frame_index == first.frame_index == 0
        assert source.captured == self.frames

    def test_describes_itself_the_same_twice_in_json(self, source: FrameSource, tmp_path: Path) -> None:
        """The description names the recording and not where it lies."""
        text = json.dumps(source.describe())
        assert json.loads(text) == source.describe() == self.open(tmp_path).describe()
        assert source.describe()["image_size"] == list(self.image_size)
        assert str(tmp_path) not in text

    def test_says_what_to_expect(self, source: FrameSource) -> None:
        """Frame rate and length are positive where they are known."""
        assert source.fps is None or source.fps > 0
        assert source.frames_expected is None or source.frames_expected > 0

    def test_closing_twice_is_fine_and_reading_then_is_refused(self, source: FrameSource) -> None:
        """`BaseSource` does this."""
        with source:
            frames = iter(source)
            next(frames)
        source.close()
        with pytest.raises(SourceError, match="closed"):
            list(frames)
        with pytest.raises(SourceError, match="closed"):
            next(iter(source))
