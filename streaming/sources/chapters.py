"""Joins the video files of one camera by time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.ledger import BEFORE_KEYFRAME
from roadmask.streaming.sources.files import identify
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource
from roadmask.streaming.sources.timeline import Timeline
from roadmask.streaming.sources.video import VideoFile

_SECOND_NS = 1_000_000_000
_CLOCK_STEP_NS = _SECOND_NS
"""Precision of creation times in containers: whole seconds."""
_BACK_NS = 10 * _SECOND_NS
"""Chapters of some dashcams overlap by seconds; a longer step back means that the clock was set."""
_PAUSE_NS = 1800 * _SECOND_NS
"""A pause that is worth a warning: it may come from a clock that was set, as in summer time."""
_CLOCK_SET_NS = 30 * 86_400 * _SECOND_NS
"""No drive pauses longer than this: the clock was set between two chapters."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChapterStart:
    """What creation times say about the start of a chapter."""

    anchor: int | None = None
    """Chapter that the start counts from; None where the chapter follows the one before it, because nothing states a
    time of its own."""
    after_ns: int = 0
    """Time from the start of the anchor to the start of the chapter in nanoseconds."""
    gap_min_ns: int = 0
    """Shortest gap in nanoseconds that is kept; a shorter one comes from the rounding of creation times."""
    clock_set: bool = False
    """Whether the clock was set before the chapter, so that nobody knows how long the gap was."""


class VideoSource(BaseSource):
    """One video file, or the chapters of a recording.

    Timestamps are on one media clock, which starts at 0 with the first chapter. If all containers state a creation
    time, chapters are sorted by it, and those that share one keep the given order. `chapter_starts` says where each
    begins. An epoch begins at a gap, where the clock was set, and when the size or the rotation of images changes.

    Args:
        camera: name of the camera.
        paths: video files.
        track: which of the video tracks of each file to read, counted from 1; the one that players show if None.

    Raises:
        SourceError: a file cannot be read, or is given twice.
    """

    clock: Clock = "media"

    def __init__(self, camera: str, paths: Sequence[Path], track: int | None = None) -> None:
        self.camera = camera
        if len({path.resolve() for path in paths}) < len(paths):
            raise SourceError(f"camera {camera!r} was given the same file twice: {', '.join(map(str, paths))}.")
        self.files = _in_order(camera, [VideoFile(path, track=track, keep_probe=len(paths) == 1) for path in paths])
        """Videos in the order of reading."""
        self.notes = tuple(_several_tracks(file) for file in self.files if file.chosen)
        self._starts = chapter_starts(camera, self.files)
        expected = [file.frames_expected for file in self.files]
        self.frames_expected: int | None = None if None in expected else sum(count or 0 for count in expected)
        fps = self.files[0].fps
        self.fps: float | None = None if fps is None else float(fps)
        self.captured = 0

    def describe(self) -> dict[str, Any]:
        """Returns the files in the order of reading with their hashes, and codec, rate and image size of the first.

        The track is only there if it is not the first one of the file.
        """
        first = self.files[0]
        track = {} if first.track == 1 else {"track": first.track}
        return track | {
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
        index = epoch = 0
        look = None
        starts_ns: list[int] = []
        for file, start in zip(self.files, self._starts, strict=True):
            start_ns = timeline.end_ns
            if start.anchor is not None and starts_ns[start.anchor] + start.after_ns > start_ns + start.gap_min_ns:
                start_ns = starts_ns[start.anchor] + start.after_ns
            if start.clock_set or start_ns > timeline.end_ns:
                epoch += 1
                look = None
            starts_ns.append(start_ns)
            timeline.begin(start_ns, file.period_ns)
            before = self.captured
            for item in file.read():
                self.require_open()
                self.captured = before + file.captured
                if item.image is None:
                    at_ns, reason = timeline.peek(item.media_ns), item.missing
                    dropped = reason == BEFORE_KEYFRAME
                    yield LostFrame(self.camera, epoch, index, at_ns, reason, "dropped" if dropped else "failed")
                else:
                    now = (item.image.shape, item.orientation)
                    epoch += look is not None and now != look
                    look = now
                    timestamp_ns = timeline.place(item.media_ns)
                    yield Frame(self.camera, epoch, index, timestamp_ns, self.clock, item.image)
                index += 1
            self.captured = before + file.captured


def open_videos(request: SourceRequest) -> VideoSource:
    """Opens video files as the chapters of one recording.

    Raises:
        SourceError: a file cannot be read or is given twice, it has no such track, or a frame rate is stated.
    """
    asked = request.parameters({"fps": float, "track": int})
    if "fps" in asked:
        raise SourceError(f"'?fps=' is for images; the video {request.paths[0]} has its own frame times: leave it out.")
    return VideoSource(request.camera, request.paths, asked.get("track"))


def _several_tracks(file: VideoFile) -> str:
    chosen, *others = file.chosen
    are = "is" if len(others) == 1 else "are"
    return (
        f"{file.path} has {len(file.chosen)} video tracks: {chosen} is read, {' and '.join(others)} {are} left out. "
        f"Write '{file.path.name}?track=N' to read track N; each can be a camera of its own."
    )


def chapter_starts(camera: str, files: Sequence[VideoFile]) -> list[ChapterStart]:
    """Returns where each chapter begins, as far as the creation times in the containers say.

    A creation time is a whole second, so one pair of chapters does not tell a gap of a second from none. Chapters are
    therefore looked at together. Where the creation times of a run of chapters agree with their lengths to a second,
    from the first to the last, the chapters follow each other without a gap. Where they do not, time passed between
    them, and each begins at its creation time. In neither case does an error add up.

    A chapter with the creation time of its predecessor follows it: GoPros state the start of the recording in each of
    its chapters. The clock was set if a chapter was created more than 30 days after its predecessor ended, or before.

    Args:
        camera: name of the camera, for warnings.
        files: chapters in the order of recording.
    """
    starts = [ChapterStart() for _ in files]
    anchor, lengths_ns = 0, 0
    run: list[tuple[int, int]] = []
    """Chapters without a sure gap, each with how much later it began than the chapters since the anchor last."""
    for number, (file, previous) in enumerate(zip(files, [None, *files], strict=False)):
        if previous is not None:
            lengths_ns += _length_ns(previous)
        if file.created is None or (previous is not None and file.created == previous.created):
            continue
        began = files[anchor].created
        if began is None or previous is None:
            anchor, lengths_ns, run = number, 0, [(number, 0)]
            continue
        after_ns = (file.created - began) // timedelta(microseconds=1) * 1000
        slack_ns = _CLOCK_STEP_NS + 2 * previous.period_ns
        late_ns = after_ns - lengths_ns
        gap_ns = late_ns - run[-1][1]
        if _clock_was_set(camera, previous, file, gap_ns):
            _place(starts, run, slack_ns)
            starts[number] = ChapterStart(clock_set=gap_ns > 0)
            anchor, lengths_ns, run = number, 0, [(number, 0)]
            continue
        if gap_ns > slack_ns:
            _place(starts, run, slack_ns)
            run = []
        starts[number] = ChapterStart(anchor, after_ns, slack_ns)
        run.append((number, late_ns))
    _place(starts, run, _CLOCK_STEP_NS + 2 * max(file.period_ns for file in files))
    return starts


def _place(starts: list[ChapterStart], run: Sequence[tuple[int, int]], slack_ns: int) -> None:
    """Lets the chapters of a run begin at their creation times if rounding alone does not explain these."""
    late_ns = [late for _, late in run]
    if run and max(late_ns) - min(late_ns) > slack_ns:
        gap_min_ns = max(slack_ns - _CLOCK_STEP_NS, _CLOCK_STEP_NS // 2)
        for number, _ in run[1:]:
            starts[number] = replace(starts[number], gap_min_ns=gap_min_ns)


def _clock_was_set(camera: str, previous: VideoFile, file: VideoFile, gap_ns: int) -> bool:
    """Returns whether the clock was set between two chapters, and warns about that and about long pauses."""
    where = f"between {previous.path.name} ({_shown(previous)}) and {file.path.name} ({_shown(file)})"
    if gap_ns > _CLOCK_SET_NS or gap_ns < -_BACK_NS:
        way = "jumps by" if gap_ns > 0 else "steps back by"
        _log.warning(
            "the clock of camera %s %s %s %s: the chapters are joined without a gap",
            *(camera, way, _length(abs(gap_ns)), where),
        )
        return True
    if gap_ns > _PAUSE_NS:
        _log.warning(
            "camera %s pauses for %s %s: the gap is kept; check the camera's clock if there was none",
            *(camera, _length(gap_ns), where),
        )
    return False


def _length_ns(file: VideoFile) -> int:
    return (file.frames_expected or 0) * file.period_ns


def _shown(file: VideoFile) -> str:
    return "?" if file.created is None else f"{file.created.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _length(length_ns: int) -> str:
    return str(timedelta(seconds=length_ns // _SECOND_NS))


def _in_order(camera: str, files: list[VideoFile]) -> list[VideoFile]:
    created = [file.created for file in files if file.created is not None]
    if len(created) < len(files):
        return files
    ordered = [files[number] for _, number in sorted(zip(created, range(len(files)), strict=True))]
    if ordered != files:
        names = [file.path.name for file in ordered]
        listed = ", ".join(names if len(names) <= 6 else [*names[:3], "...", *names[-2:]])
        _log.warning("camera %s: chapters are read in the order of their creation times: %s", camera, listed)
    return ordered
