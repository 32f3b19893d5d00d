"""Joins the video files of one camera by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.files import identify
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource
from roadmask.streaming.sources.timeline import Timeline
from roadmask.streaming.sources.video import VideoFile

_CLOCK_STEP_NS = 1_000_000_000
"""Precision of creation times in containers: whole seconds."""


class VideoSource(BaseSource):
    """One video file, or the chapters of a recording.

    Timestamps are on one media clock, which starts at 0 with the first chapter. Chapters are sorted by the creation
    times in their containers if all of them differ; otherwise they keep the given order. If creation times leave more
    than a second and two frame periods between two chapters, the gap is kept and the next epoch begins. A smaller
    difference comes from the rounding of creation times, and the chapters are joined without a gap. An epoch also
    begins when the size or the rotation of images changes.

    Args:
        camera: name of the camera.
        paths: video files.

    Raises:
        SourceError: a file cannot be read, or is given twice.
    """

    clock: Clock = "media"

    def __init__(self, camera: str, paths: Sequence[Path]) -> None:
        self.camera = camera
        if len({path.resolve() for path in paths}) < len(paths):
            raise SourceError(f"camera {camera!r} was given the same file twice: {', '.join(map(str, paths))}.")
        self.files = _in_order([VideoFile(path, keep_probe=len(paths) == 1) for path in paths])
        """Videos in the order of reading."""
        expected = [file.frames_expected for file in self.files]
        self.frames_expected: int | None = None if None in expected else sum(count or 0 for count in expected)
        fps = self.files[0].fps
        self.fps: float | None = None if fps is None else float(fps)
        self.captured = 0

    def describe(self) -> dict[str, Any]:
        """Returns the files in the order of reading with their hashes, and codec, rate and image size of the first."""
        first = self.files[0]
        return {
            "kind": "video",
            "files": [identify(file.path) for file in self.files],
            "codec": first.codec,
            "recorded_at": None if first.created is None else first.created.astimezone(UTC).isoformat(),
            "fps": self.fps,
            "image_size": list(first.image_size),
        }

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Yields the frames of one chapter after the other."""
        self.require_open()
        self.captured = 0
        timeline = Timeline(self.files[0].period_ns)
        index = epoch = start_ns = 0
        look = None
        previous: VideoFile | None = None
        for file in self.files:
            if previous is not None:
                gap_ns = _gap_ns(previous, file, start_ns, timeline)
                start_ns = timeline.end_ns + gap_ns
                if gap_ns:
                    epoch += 1
                    look = None
            timeline.begin(start_ns, file.period_ns)
            previous, before = file, self.captured
            for item in file.read():
                self.require_open()
                self.captured = before + file.packets
                if item.image is None:
                    yield LostFrame(self.camera, epoch, index, timeline.peek(item.media_ns))
                else:
                    now = (item.image.shape, item.orientation)
                    epoch += look is not None and now != look
                    look = now
                    timestamp_ns = timeline.place(item.media_ns)
                    yield Frame(self.camera, epoch, index, timestamp_ns, self.clock, item.image)
                index += 1
            self.captured = before + file.packets


def open_videos(request: SourceRequest) -> VideoSource:
    """Opens video files as the chapters of one recording.

    Raises:
        SourceError: a file cannot be read or is given twice, or a frame rate is stated.
    """
    if request.parameters({"fps": float}):
        raise SourceError(f"'?fps=' is for images; the video {request.paths[0]} has its own frame times: leave it out.")
    return VideoSource(request.camera, request.paths)


def _in_order(files: list[VideoFile]) -> list[VideoFile]:
    created = [file.created for file in files if file.created is not None]
    if len(set(created)) < len(files):  # some have none, or share the time when the drive began
        return files
    return [file for _, file in sorted(zip(created, files, strict=True), key=lambda pair: pair[0])]


def _gap_ns(previous: VideoFile, file: VideoFile, start_ns: int, timeline: Timeline) -> int:
    """Returns the gap between two chapters in nanoseconds; 0 if they follow each other."""
    if previous.created is None or file.created is None:
        return 0
    between = (file.created - previous.created) // timedelta(microseconds=1) * 1000
    gap_ns = start_ns + between - timeline.end_ns
    return gap_ns if gap_ns > _CLOCK_STEP_NS + 2 * previous.period_ns else 0
