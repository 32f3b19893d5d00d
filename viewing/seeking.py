"""Any frame of a recorded video, decoded from the keyframe before it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np
from av.codec.context import ThreadType
from numpy.typing import NDArray

from roadmask.engines.segmenter import Image
from roadmask.streaming.sources.colour import RgbConverter
from roadmask.streaming.sources.video import VideoFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_THREADS = 2
"""Number of threads that decode; more of them hold more decoded frames in memory."""
_ROUNDING_NS = 2_000
"""Difference of two times that are both rounded, in nanoseconds."""
_BACK_S = (0, 2, 10)
"""Seconds before a frame to seek to, one after the other, where seeking ends up behind the frame."""


@dataclass(frozen=True)
class FrameTimes:
    """The times of the frames of one file, in its time base."""

    shown: Sequence[int]
    """Time of each frame in display order; the place is the count of the frame in the file."""
    keys: Sequence[int]
    """Times of the keyframes, rising."""
    unit_ns: Fraction
    """Duration of a unit of the time base in nanoseconds."""


def read_times(file: VideoFile) -> FrameTimes | None:
    """Reads the times of all frames of a file, without decoding it.

    Returns:
        The times; None where they do not identify the frames: a time is missing or repeated, or the container states
        when frames are decoded instead of when they are shown, as AVI does.
    """
    shown: list[int] = []
    keys: list[int] = []
    with file.opened() as (container, stream):
        unit_ns = (stream.time_base or Fraction(1, av.time_base)) * 1_000_000_000
        if container.format.name == "avi":
            return None
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    return None
                shown.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except (av.FFmpegError, IndexError):  # a damaged end: the run that recorded the file stopped here, too
            pass
    if not keys or len(set(shown)) < len(shown):
        return None
    return FrameTimes(sorted(shown), sorted(keys), unit_ns)


class _Decoding(NamedTuple):
    """A file that is being decoded, and the frames still to come."""

    chapter: int
    opened: ExitStack
    container: InputContainer
    stream: VideoStream
    frames: Iterator[VideoFrame]


class SeekingVideo:
    """The frames of one or more files by frame index. Not thread-safe.

    Neighbouring frames are decoded one after the other; others from the keyframe before them.

    Args:
        files: the chapters in the order of reading.
        times: the times of their frames.
    """

    def __init__(self, files: Sequence[VideoFile], times: Sequence[FrameTimes]) -> None:
        self._files = files
        self._times = times
        self._edges = [0, *accumulate(len(each.shown) for each in times)]
        self._decoding: _Decoding | None = None
        self._last: VideoFrame | None = None

    def agrees(self, frame_index: NDArray[np.int64], timestamp_ns: NDArray[np.int64]) -> bool:
        """Returns whether the frames of a store are as far apart as those of the files with the same frame index.

        They are not where a packet gave two frames, as those of interlaced videos may: frame indices then count more
        than there are packets.

        Args:
            frame_index: (T,) capture counts of the stored frames.
            timestamp_ns: (T,) their times in nanoseconds.
        """
        chapters = np.searchsorted(self._edges, frame_index, side="right") - 1
        if not len(frame_index) or chapters[-1] >= len(self._times):
            return False
        for chapter in np.unique(chapters).tolist():
            of_it, times = chapters == chapter, self._times[chapter]
            pts = np.array(times.shown)[frame_index[of_it] - self._edges[chapter]]
            media_ns = (pts - pts[0]) * float(times.unit_ns)
            if np.abs(timestamp_ns[of_it] - timestamp_ns[of_it][0] - media_ns).max() > _ROUNDING_NS:
                return False
        return True

    def image_at(self, frame_index: int) -> Image | None:
        """Returns the image with a frame index, upright (H, W, 3) RGB; None if it is not in the files."""
        if not 0 <= frame_index < self._edges[-1]:
            return None
        chapter = bisect_right(self._edges, frame_index) - 1
        pts = self._times[chapter].shown[frame_index - self._edges[chapter]]
        frame = self._decode(chapter, pts)
        return None if frame is None else RgbConverter(self._files[chapter].codec)(frame)[0]

    def close(self) -> None:
        """Closes the file that is open; may be called repeatedly."""
        if self._decoding is not None:
            self._decoding.opened.close()
        self._decoding = self._last = None

    def _decode(self, chapter: int, pts: int) -> VideoFrame | None:
        if self._decoding is not None and self._decoding.chapter == chapter and self._last is not None:
            if self._last.pts == pts:
                return self._last
            if self._is_next(chapter, pts) and (frame := self._forward(pts)) is not None:
                return frame
        keys = self._times[chapter].keys
        for back_s in _BACK_S if pts >= keys[0] else ():
            decoding = self._open(chapter)
            start = pts - int(back_s / (decoding.stream.time_base or 1))
            decoding.container.seek(max(start, keys[0]), stream=decoding.stream)
            self._decoding = decoding._replace(frames=_frames(decoding.container, decoding.stream))
            if (frame := self._forward(pts)) is not None:
                return frame
        # From the beginning: a recording may begin in the middle of a stream, before its first keyframe.
        self.close()
        self._decoding = self._open(chapter)
        return self._forward(pts)

    def _is_next(self, chapter: int, pts: int) -> bool:
        """Whether a frame is reached faster by decoding on than by seeking: no keyframe lies in between."""
        last = self._last.pts if self._last is not None and self._last.pts is not None else pts
        keys = self._times[chapter].keys
        return last < pts and bisect_right(keys, last) == bisect_right(keys, pts)

    def _open(self, chapter: int) -> _Decoding:
        if self._decoding is not None and self._decoding.chapter == chapter:
            return self._decoding
        self.close()
        opened = ExitStack()
        container, stream = opened.enter_context(self._files[chapter].opened())
        stream.codec_context.thread_type = ThreadType.AUTO
        stream.codec_context.thread_count = _THREADS
        return _Decoding(chapter, opened, container, stream, _frames(container, stream))

    def _forward(self, pts: int) -> VideoFrame | None:
        """Decodes up to a frame; returns None once it was passed, or if the file ends before it."""
        if self._decoding is None:
            return None
        for frame in self._decoding.frames:
            self._last = frame
            if frame.pts is not None and frame.pts >= pts:
                return frame if frame.pts == pts else None
        self._last = None
        return None


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yields frames from where the container stands; a packet that cannot be decoded is left out."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue
    except (av.FFmpegError, EOFError, IndexError):
        return
