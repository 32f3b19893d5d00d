"""A folder or list of images as a camera of constant frame rate."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from roadmask.engines.errors import SourceError
from roadmask.engines.images import decode_image
from roadmask.engines.segmenter import Image
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.files import identify_all
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource

DEFAULT_FPS = 10.0
"""Frame rate of images, as in KITTI; `folder/?fps=25` sets another."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE_TYPE = 254
_PREVIEW_OR_MASK = 0b101
"""Bits of TIFF's NewSubfileType: reduced resolution, transparency mask (TIFF 6.0, page 36)."""
_SAME_SHAPE = 0.05
"""Maximum difference of the ratio of width to height between an image and its smaller copy."""
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of HEIC images."""
_WEBP_ANIMATION = 0x02
"""Flag of an animation in the header of a WebP (developers.google.com/speed/webp/docs/riff_container)."""
_log = logging.getLogger(__name__)


class ImageSource(BaseSource):
    """Frames from image files: JPEG, PNG, BMP, TIFF, WebP, AVIF or PPM of one size.

    EXIF rotation is applied, transparency is ignored, 16 bits are reduced to 8, and grey is converted to RGB. The pages
    of a TIFF are frames of their own, unless they are copies of the first one in other sizes. A file that cannot be
    decoded gives a `LostFrame`.

    Args:
        camera: name of the camera.
        paths: image files in the order of frames.
        fps: frame rate in frames per second; the first frame is at time 0.

    Raises:
        SourceError: no file can be decoded, or one is a HEIC image or an animation; or, during iteration, an image has
            another size than the first.
    """

    clock: Clock = "media"

    def __init__(self, camera: str, paths: Sequence[Path], fps: float = DEFAULT_FPS) -> None:
        self.camera = camera
        self.fps: float | None = fps
        self.captured = 0
        self._period = 1_000_000_000 / Fraction(fps).limit_denominator(1_000_000)
        self._paths = tuple(paths)
        self._images = [(path, page) for path in paths for page in _pages(path)]
        self.frames_expected: int | None = len(self._images)
        for first, page in self._images:
            image = read_image(first, page)
            if image is not None:
                self._first, self._size = first, image.shape[:2]
                break
        else:
            raise SourceError(
                f"cannot decode any of the {len(paths)} images of camera {camera!r}, such as {paths[0]}: "
                "expected JPEG, PNG, BMP, TIFF, WebP, AVIF or PPM files."
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
        return read_image(*self._images[frame_index])

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Yields one frame for each file, or for each page of it."""
        self.require_open()
        self.captured = 0
        for index, (path, page) in enumerate(self._images):
            self.require_open()
            self.captured += 1
            timestamp_ns = round(index * self._period)
            image = read_image(path, page)
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


def read_image(path: Path, page: int = 0) -> Image | None:
    """Returns the image in a file as upright (H, W, 3) RGB; None if it cannot be decoded.

    Args:
        path: image file.
        page: page of a TIFF, from 0.
    """
    try:
        if page == 0:
            return decode_image(path)
        read, pages = cv2.imreadmulti(str(path), page, 1, flags=cv2.IMREAD_COLOR_RGB)  # reads no other page
        return np.ascontiguousarray(pages[0], np.uint8) if read else None
    except (cv2.error, UnicodeError):
        return None
    except OSError as error:  # deleted or unmounted after the folder was listed
        _log.warning("cannot read %s: %s", path, error)
        return None


def _pages(path: Path) -> list[int]:
    """Returns the pages of a TIFF that are images of their own; only the first for other files.

    Raises:
        SourceError: the file is a HEIC image or an animation, of which only the first image would be read, or a TIFF
            whose pages have different sizes.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            sizes = _tiff_pages(file) if head[:4] in _TIFF else {0: (0, 0)}
    except (OSError, SyntaxError, ValueError):  # damaged: lost when it is read
        return [0]
    if len(set(sizes.values())) > 1:
        shown = ", ".join(dict.fromkeys(f"{width} x {height}" for width, height in sizes.values()))
        raise SourceError(
            f"{path} has {len(sizes)} pages of different sizes ({shown}): write each to a file of its own, for example "
            "with `tiffsplit`, and give each size its own camera."
        )
    brands = head[8:64] if head[4:8] == b"ftyp" else b""
    if brands[:4] in _HEIF or (brands and any(brand in brands for brand in _HEIF) and b"avif" not in brands):
        raise SourceError(
            f"{path} is a HEIC image, which roadmask does not read: convert such images to JPEG, for example with "
            "`heif-convert IMG.HEIC IMG.jpg` from the Debian package libheif-examples, or with `magick mogrify -format "
            "jpg *.HEIC`."
        )
    animated = {
        "WebP": head[:4] == b"RIFF"
        and head[8:16] == b"WEBPVP8X"
        and bool(int.from_bytes(head[20:21]) & _WEBP_ANIMATION),
        "PNG": head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0],
        "AVIF": brands[:4] == b"avis",
    }
    for name, is_animated in animated.items():
        if is_animated:
            raise SourceError(
                f"{path} is an animated {name}, whose images have times of their own: convert it to a video, or its "
                f"images to files, for example with `magick {path.name} -coalesce out-%06d.png`."
            )
    return list(sizes)


def _tiff_pages(file: BinaryIO) -> dict[int, tuple[int, int]]:
    """Returns width and height of the pages that are neither previews, masks nor smaller copies of the first one."""
    from PIL import TiffImagePlugin  # noqa: PLC0415 - only for TIFFs
    from PIL.Image import DecompressionBombError  # noqa: PLC0415

    file.seek(0)
    sizes: dict[int, tuple[int, int]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a file shows when it is decoded
        try:
            with TiffImagePlugin.TiffImageFile(file) as image:
                for page in range(image.n_frames):
                    image.seek(page)
                    width, height = image.size
                    whole = sizes.get(0, image.size)
                    copy = width < whole[0] and abs(width / height - whole[0] / whole[1]) < _SAME_SHAPE
                    if page == 0 or not (copy or image.tag_v2.get(_SUBFILE_TYPE, 0) & _PREVIEW_OR_MASK):
                        sizes[page] = image.size
        except DecompressionBombError:  # a huge image, which OpenCV may decode
            return {0: (0, 0)}
    return sizes


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]}"
