"""What an export is asked to do; the frames of a drive, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from roadmask.engines.errors import InputError
from roadmask.streaming.store import CameraReader, Drive, StoredFrame


def _silent(_: float) -> None:
    pass


@dataclass(frozen=True)
class ExportJob:
    """One drive on its way into one file or folder."""

    drive: Drive
    """What is exported, as of its last commit."""
    camera: str | None = None
    """Only this camera; all if None."""
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Camera -> where its images are; see `find_images`."""
    anonymize: bool = False
    """Blur road users in the images."""
    whole_boxes: bool = False
    """Blur their boxes instead of their masks with a margin."""
    overlay: bool = False
    """Draw masks into anonymized images, too."""
    on_progress: Callable[[float], None] = _silent
    """Called now and then with the share that is done, 0 to 1."""

    @property
    def cameras(self) -> list[CameraReader]:
        """The cameras to export.

        Raises:
            InputError: the camera asked for is not there, or none is.
        """
        names = list(self.drive)
        if not names:
            raise InputError(f"{self.drive.path} has no camera yet: nothing was committed.")
        if self.camera is not None and self.camera not in names:
            raise InputError(f"{self.drive.path} has no camera {self.camera!r}: it has {', '.join(names)}.")
        return [self.drive[name] for name in names if self.camera in (None, name)]

    def only_camera(self, what: str) -> CameraReader:
        """Returns the one camera, for formats that hold one.

        Raises:
            InputError: there are several and none was chosen.
        """
        cameras = self.cameras
        if len(cameras) > 1:
            names = ", ".join(camera.name for camera in cameras)
            raise InputError(f"{what} holds one camera, {self.drive.path} has {names}: choose with --camera NAME.")
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
