"""A folder or list of images as a camera of constant frame rate."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.engines.images import decode_image
from roadmask.engines.segmenter import Image
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.files import identify_all
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource

DEFAULT_FPS = 10.0
"""Frame rate of images, as in KITTI; `folder/?fps=25` sets another."""
_log = logging.getLogger(__name__)


class ImageSource(BaseSource):
    """Frames from image files: JPEG, PNG, BMP, TIFF or WebP of one size.

    EXIF rotation is applied, transparency is ignored, 16 bits are reduced to 8, and grey is converted to RGB. A file
    that cannot be decoded gives a `LostFrame`.

    Args:
        camera: name of the camera.
        paths: image files in the order of frames.
        fps: frame rate in frames per second; the first frame is at time 0.

    Raises:
        SourceError: no file can be decoded, or, during iteration, an image has another size than the first.
    """

    clock: Clock = "media"

    def __init__(self, camera: str, paths: Sequence[Path], fps: float = DEFAULT_FPS) -> None:
        self.camera = camera
        self.fps: float | None = fps
        self.frames_expected: int | None = len(paths)
        self.captured = 0
        self._period = 1_000_000_000 / Fraction(fps).limit_denominator(1_000_000)
        self._paths = tuple(paths)
        for first in self._paths:
            image = read_image(first)
            if image is not None:
                self._first, self._size = first, image.shape[:2]
                break
        else:
            raise SourceError(
                f"cannot decode any of the {len(paths)} images of camera {camera!r}, such as {paths[0]}: "
                "expected JPEG, PNG, BMP, TIFF or WebP files."
            )

    def describe(self) -> dict[str, Any]:
        """Returns names, size, frame rate and a common hash of the files."""
        return {
            "kind": "images",
            "first": self._paths[0].name,
            "last": self._paths[-1].name,
            "fps": self.fps,
            "image_size": list(self._size),
            **identify_all(self._paths),
        }

    def image_at(self, frame_index: int) -> Image | None:
        """Returns the image with a frame index, upright (H, W, 3) RGB; None if it cannot be decoded."""
        return read_image(self._paths[frame_index])

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Yields one frame for each file."""
        self.require_open()
        self.captured = 0
        for index, path in enumerate(self._paths):
            self.require_open()
            self.captured += 1
            timestamp_ns = round(index * self._period)
            image = read_image(path)
            if image is None:
                yield LostFrame(self.camera, 0, index, timestamp_ns)
                continue
            if image.shape[:2] != self._size:
                raise SourceError(
                    f"expected images of one size: {self._first.name} is {_size(self._size)}, "
                    f"{path.name} is {_size(image.shape)}. Give each size its own camera."
                )
            yield Frame(self.camera, 0, index, timestamp_ns, self.clock, image)


def open_images(request: SourceRequest) -> ImageSource:
    """Opens images as frames of constant rate; `?fps=` sets it.

    Raises:
        SourceError: the rate is no positive number, or no file can be decoded.
    """
    fps = request.parameters({"fps": float}).get("fps", DEFAULT_FPS)
    return ImageSource(request.camera, request.paths, fps)


def read_image(path: Path) -> Image | None:
    """Returns the image in a file as upright (H, W, 3) RGB; None if it cannot be decoded."""
    try:
        return decode_image(path)
    except OSError as error:  # deleted or unmounted after the folder was listed
        _log.warning("cannot read %s: %s", path, error)
        return None


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]}"
