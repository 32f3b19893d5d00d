"""An export job: its options, and the frames of its drive one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC

from roadmask.engines.errors import InputError
from roadmask.streaming.store import CameraReader, Drive, StoredFrame


def _silent(_: float) -> None:
    pass


@dataclass(frozen=True)
class ExportJob:
    """The export of a drive to one file or folder."""

    drive: Drive
    """Drive to export, as of its last commit when it was opened."""
    camera: str | None = None
    """Name of the only camera to export; None for all cameras."""
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Camera -> sources of its images; a camera that is not listed has those of its recording, see `images`."""
    image_files: bool = False
    """Whether the images that the output names are written beside it, into a folder for each camera."""
    anonymize: bool = False
    """Whether road users are blurred in the images."""
    whole_boxes: bool = False
    """Whether their boxes are blurred instead of their masks, both with a margin."""
    overlay: bool = False
    """Whether masks are also drawn into anonymized images."""
    on_progress: Callable[[float], None] = _silent
    """Callback that receives the completed share, 0 to 1."""

    @property
    def cameras(self) -> list[CameraReader]:
        """The cameras to export.

        Raises:
            InputError: there is no such camera, or no camera at all.
        """
        names = list(self.drive)
        if not names:
            raise InputError(f"expected a camera in {self.drive.path}, found none: nothing was committed to it.")
        if self.camera is not None and self.camera not in names:
            raise InputError(f"{self.drive.path} has no camera {self.camera!r}: choose among {', '.join(names)}.")
        return [self.drive[name] for name in names if self.camera in (None, name)]

    def only_camera(self, what: str) -> CameraReader:
        """Returns the camera to export, for formats that hold a single one.

        Args:
            what: name of the format, for the message.

        Raises:
            InputError: there are several cameras and none was chosen.
        """
        cameras = self.cameras
        if len(cameras) > 1:
            names = ", ".join(camera.name for camera in cameras)
            raise InputError(
                f"{what} holds a single camera, {self.drive.path} has {names}: choose one with --camera NAME."
            )
        return cameras[0]

    def frames(self) -> Iterator[tuple[CameraReader, StoredFrame]]:
        """Yields the frames camera by camera, and reports progress."""
        for camera in self.cameras:
            for frame in self.frames_of(camera):
                yield camera, frame

    def frames_of(self, camera: CameraReader) -> Iterator[StoredFrame]:
        """Yields the frames of one of `cameras`, and reports progress over all of them."""
        cameras = self.cameras
        names = [each.name for each in cameras]
        done = sum(map(len, cameras[: names.index(camera.name)]))
        total = sum(map(len, cameras))
        for position in range(len(camera)):
            yield camera.frame(position)
            self.on_progress((done + position + 1) / total)


def wall_clock_text(camera: CameraReader, timestamp_ns: int, epoch: int) -> str | None:
    """Returns a frame's wall-clock time as ISO 8601 in UTC with microseconds; None where it is not known."""
    time = camera.wall_clock(timestamp_ns, epoch)
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
