"""The images that belong to a stored camera: found by their hash, or none, and then why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import RoadmaskError, SourceError
from roadmask.engines.segmenter import Image
from roadmask.streaming.formats.export.source_images import find_specs, is_recorded_from, source_name
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.streaming.sources.chapters import VideoSource
from roadmask.streaming.sources.files import split_query
from roadmask.streaming.sources.registry import kind_named
from roadmask.streaming.sources.video import VideoFile
from roadmask.viewing.seeking import SeekingVideo, read_times

_log = logging.getLogger(__name__)


class ImageAccess(Protocol):
    """Gives the image of any frame."""

    def image_at(self, frame_index: int) -> Image | None:
        """Returns the image with a frame index, (H, W, 3) RGB; None if there is none."""

    def close(self) -> None:
        """Closes files; may be called repeatedly."""


@dataclass(frozen=True)
class ImageState:
    """Whether the images of a camera are shown."""

    kind: Literal["checking", "shown", "grey"]
    """`checking` while they are searched for, `grey` if masks are drawn without them."""
    detail: str
    """One sentence for people: where the images come from, or why there are none."""


class CameraImages:
    """The images of one camera. They are searched for in a thread, because hashing a long recording takes seconds.

    Args:
        camera: name of the camera.
        stored: description of its source in the store.
        given: its source as the user typed it; empty to search for it.
        folders: folders that are searched.
        frames: (T,) frame indices and (T,) timestamps in nanoseconds of its stored frames.
    """

    def __init__(
        self,
        camera: str,
        stored: Mapping[str, Any],
        given: Sequence[str],
        folders: Sequence[Path],
        frames: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        self._camera = camera
        self._stored = stored
        self._given = tuple(given)
        self._folders = folders
        self._frames = frames
        self._access: ImageAccess | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._search, name=f"images-{camera}", daemon=True)
        self.state = ImageState("checking", f"Looking for {source_name(stored)}")
        """Whether the images are shown; changes once, from `checking`."""

    def start(self) -> None:
        """Begins to search."""
        self._thread.start()

    def wait(self, seconds: float | None = None) -> ImageState:
        """Returns the state once the search has ended, or after some seconds."""
        self._thread.join(seconds)
        return self.state

    def image_at(self, frame_index: int, image_size: tuple[int, int]) -> Image | None:
        """Returns an image of the camera, or None while masks are drawn on grey.

        Args:
            frame_index: capture count of the frame.
            image_size: height and width of the stored masks in pixels; an image of another size is not used.
        """
        with self._lock:
            if self._access is None:
                return None
            try:
                image = self._access.image_at(frame_index)
            except (RoadmaskError, OSError) as error:  # the file was moved or its disk removed
                _log.warning("camera %s: cannot read frame %d: %s", self._camera, frame_index, error)
                return None
        return image if image is not None and image.shape[:2] == image_size else None

    def close(self) -> None:
        """Closes the files of the images."""
        with self._lock:
            if self._access is not None:
                self._access.close()

    def _search(self) -> None:
        try:
            specs = self._given or self._found()
            access = self._open(specs)
            with self._lock:
                self._access = access
            self.state = ImageState("shown", f"Images from {_paths(specs)}")
        except (RoadmaskError, OSError) as error:
            self.state = ImageState("grey", f"Masks are drawn on grey: {error}")
        except Exception as error:
            _log.exception("camera %s: the search for its images failed", self._camera)
            self.state = ImageState("grey", f"Masks are drawn on grey: the search for images failed with {error!r}.")

    def _open(self, specs: Sequence[str]) -> ImageAccess:
        """Opens a source whose content is that of the recording."""
        source = open_camera(self._camera, specs)
        if not is_recorded_from(source, self._stored):
            raise SourceError(
                f"{_paths(specs)} is not the recording ({source_name(self._stored)}): its content differs. Give "
                f"the original with --source {self._camera}=PATH."
            )
        access = open_access(source)
        if isinstance(access, SeekingVideo) and not access.agrees(*self._frames):
            return SequentialImages(open_camera(self._camera, specs))
        return access

    def _found(self) -> tuple[str, ...]:
        if "address" in self._stored:
            raise SourceError("the images of a live camera are not kept.")
        if kind_named(self._stored.get("kind", "")) is None:
            raise SourceError(f"its source ({source_name(self._stored)}) is of a kind that cannot be found again.")
        specs = find_specs(self._stored, self._folders)
        if specs is None:
            folders = " or ".join(dict.fromkeys(str(folder.resolve()) for folder in self._folders))
            raise SourceError(
                f"{source_name(self._stored)} is not in {folders}. Give its place with --source {self._camera}=PATH."
            )
        return specs


def open_access(source: FrameSource) -> ImageAccess:
    """Returns access to any frame of a source: direct where the source allows it, otherwise by reading up to it."""
    if isinstance(source, VideoSource):
        files = [VideoFile(file.path, track=file.track) for file in source.files]
        source.close()
        times = [each for file in files if (each := read_times(file)) is not None]
        if len(times) == len(files):
            return SeekingVideo(files, times)
        source = VideoSource(source.camera, [file.path for file in files], files[0].track)
    image_at = getattr(source, "image_at", None)
    return source if image_at is not None else SequentialImages(source)  # type: ignore[return-value]


def _paths(specs: Sequence[str]) -> str:
    """Returns sources for people, without what stands behind their '?'."""
    return ", ".join(split_query(spec)[0] for spec in specs)


class SequentialImages:
    """Reads a source from its beginning up to the frame that is wanted; what follows it comes without a delay."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._items: Iterator[Frame | LostFrame] = iter(())
        self._last: Frame | LostFrame | None = None

    def image_at(self, frame_index: int) -> Image | None:
        """Returns the image with a frame index; None if the frame was lost."""
        if self._last is None or self._last.frame_index > frame_index:
            self._items = iter(self._source)
            self._last = next(self._items, None)
        while self._last is not None and self._last.frame_index < frame_index:
            self._last = next(self._items, None)
        found = self._last
        return found.image if isinstance(found, Frame) and found.frame_index == frame_index else None

    def close(self) -> None:
        """Closes the source."""
        with suppress(RoadmaskError):
            self._source.close()
