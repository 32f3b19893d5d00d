"""What a recorded run is asked to do, and what it knows of each camera beforehand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sinks.sink import TrackSink
from roadmask.streaming.sources import FrameSource, open_camera, parse_sources

Sources = str | Path | Mapping[str, str | Path | Sequence[str | Path]] | Sequence["str | Path | CameraJob"]
"""One source; or camera name -> its source or its chapters; or sources as `roadmask run` takes them; or jobs."""
SinkFactory = Callable[[str], Sequence[TrackSink]]
"""Returns further sinks for a camera, given its name; with Ray it is pickled and called in another process."""
APART_MAX = timedelta(hours=1)
"""Cameras that begin further apart were not recorded together, or one of their clocks is wrong by a time zone."""
_log = logging.getLogger(__name__)


def no_sinks(camera: str) -> Sequence[TrackSink]:  # noqa: ARG001 - the default of a `SinkFactory`
    """Returns no further sinks."""
    return ()


@dataclass(frozen=True)
class CameraJob:
    """One camera of a run."""

    camera: str
    """Name of the camera."""
    specs: tuple[str, ...]
    """Sources of the camera: one, or chapters to be joined by time."""
    overlay: Path | None = None
    """Path of a video to draw the tracks into; None for no video."""
    opener: Callable[[str, Sequence[str]], FrameSource] = open_camera
    """Opens the sources, given the camera's name and its specs."""
    sinks: SinkFactory = no_sinks
    """Makes the camera's sinks beside the store and the overlay."""
    start_ns: int = 0
    """Time at which the camera's recording begins on the clock of the drive, in nanoseconds; see `aligned`."""

    def placed(self, items: Iterable[Frame | LostFrame]) -> Iterator[Frame | LostFrame]:
        """Yields the items of the camera's source at their times on the clock of the drive."""
        for item in items:
            time_ns = item.timestamp_ns
            yield replace(item, timestamp_ns=time_ns + self.start_ns) if self.start_ns and time_ns is not None else item

    def open(self) -> FrameSource:
        """Opens the camera.

        Raises:
            SourceError: the camera cannot be read.
        """
        return self.opener(self.camera, self.specs)


def camera_jobs(sources: Sources, overlay: Path | None = None, sinks: SinkFactory = no_sinks) -> list[CameraJob]:
    """Returns one job for each camera.

    Args:
        sources: the cameras; jobs stay as they are, apart from what the other arguments add.
        overlay: video to draw the tracks into; with several cameras `out.mp4` becomes one `out.NAME.mp4` for each.
        sinks: makes further sinks for each camera.

    Raises:
        InputError: there is no source, or a name cannot be used for a camera.
    """
    if isinstance(sources, Mapping) and sources:
        jobs = [CameraJob(camera, _specs(given)) for camera, given in sources.items()]
    else:
        listed = [sources] if isinstance(sources, str | Path) else list(sources)
        jobs = [source for source in listed if isinstance(source, CameraJob)]
        typed = [str(source) for source in listed if not isinstance(source, CameraJob)]
        if typed or not jobs:
            jobs += [CameraJob(camera, tuple(specs)) for camera, specs in parse_sources(typed).items()]
    if overlay is not None:
        several = len(jobs) > 1
        named = [overlay.with_name(f"{overlay.stem}.{job.camera}{overlay.suffix}") for job in jobs]
        jobs = [replace(job, overlay=path if several else overlay) for job, path in zip(jobs, named, strict=True)]
    if sinks is not no_sinks:
        jobs = [replace(job, sinks=partial(_sinks_of_both, job.sinks, sinks)) for job in jobs]
    return jobs


def _sinks_of_both(first: SinkFactory, second: SinkFactory, camera: str) -> Sequence[TrackSink]:
    return [*first(camera), *second(camera)]


def _specs(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, str | Path) else tuple(map(str, given))


@dataclass(frozen=True)
class CameraProbe:
    """What is known of a camera before the run starts."""

    image_size: tuple[int, int]
    """Height and width of the first image in pixels."""
    fps: float | None
    """Frames per second; None where the source does not state it."""
    frames_expected: int | None
    """Estimated number of frames; None where the source does not state it."""
    description: dict[str, Any]
    """What the store keeps of the source."""

    def frames_to_read(self, frames_max: int | None) -> int | None:
        """Returns the estimated number of frames that a run reads, at most `frames_max`; None if it is not known."""
        return min((count for count in (self.frames_expected, frames_max) if count is not None), default=None)


class ProbedCamera:
    """A camera whose first image was decoded, so that bad input is refused before anything is written.

    The source stays open: `items` continues where the probe ended, and nothing is decoded twice.

    Raises:
        SourceError: the source cannot be read or holds no image.
    """

    def __init__(self, job: CameraJob) -> None:
        self.job = job
        self.source = job.open()
        for note in getattr(self.source, "notes", ()):  # a source need not have any
            _log.warning("camera %s: %s", job.camera, note)
        self.items: Iterator[Frame | LostFrame] = iter(())
        """The items of the source from the first one on; to be consumed once."""
        try:
            image_size = self._first_image_size()
            source = self.source
            self.probe = CameraProbe(image_size, source.fps, source.frames_expected, source.describe())
        except BaseException:
            self.close()
            raise

    def _first_image_size(self) -> tuple[int, int]:
        rest, read = iter(self.source), []
        for item in rest:
            read.append(item)
            if isinstance(item, Frame):
                self.items = chain(read, rest)
                return item.image_size
        raise SourceError(
            f"camera {self.job.camera!r}: no image could be decoded from {', '.join(self.job.specs)}; "
            "check that it plays elsewhere."
        )

    def close(self) -> None:
        """Closes the source; may be called again."""
        self.items = iter(())  # lets go of the iteration, which holds the file open
        self.source.close()


def aligned(cameras: Sequence[ProbedCamera]) -> list[int]:
    """Returns when each camera begins on the clock of the drive, in nanoseconds.

    Time 0 is the start of the camera that began first, so that equal timestamps mean the same moment, as exactly as
    the containers state it: to a second. A camera whose recording states no start begins at 0. So do all cameras if
    their starts lie further apart than `APART_MAX`.
    """
    began = {
        camera.job.camera: datetime.fromisoformat(camera.probe.description["recorded_at"])
        for camera in cameras
        if camera.source.clock == "media" and camera.probe.description.get("recorded_at")
    }
    first = min(began.values(), default=None)
    if first is None:
        return [0] * len(cameras)
    if max(began.values()) - first > APART_MAX:
        listed = ", ".join(f"{name} at {time:%Y-%m-%d %H:%M:%S}" for name, time in began.items())
        _log.warning(
            "the cameras began more than an hour apart by their own clocks (%s): the time of each starts at 0; check "
            "the clocks of the cameras",
            listed,
        )
        return [0] * len(cameras)
    after = [began.get(camera.job.camera, first) - first for camera in cameras]
    return [each // timedelta(microseconds=1) * 1000 for each in after]
