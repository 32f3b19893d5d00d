"""Writes images into an MP4 file that is either complete or absent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.files import partial_path
from roadmask.engines.segmenter import Image

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_TICKS = 90_000
"""Ticks per second of the video's clock, as usual in MP4."""
_LAST_FRAME_NS = 40_000_000
"""Duration of a video of a single image in nanoseconds."""
_BT709 = 1


def require_writable(path: Path) -> Path:
    """Returns the path of a video if it can be written; call it before work starts that would be in vain.

    Raises:
        InputError: the name does not end in .mp4, the path is a folder, or its folder is missing or not writable.
    """
    if path.is_dir():
        raise InputError(
            f"expected a file to write the video to, got the folder {path}: add a file name such as masks.mp4."
        )
    if path.suffix.lower() != ".mp4":
        raise InputError(f"expected a file name that ends in .mp4 for the video, got {path.name!r}: rename it.")
    if not path.parent.is_dir():
        raise InputError(f"cannot write the video {path}: the folder {path.parent} does not exist; create it first.")
    partial = partial_path(path)
    try:
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise InputError(
            f"cannot write the video {path}: {error.strerror or error}. Choose another path or change its permissions."
        ) from error
    return path


class VideoWriter:
    """An H.264 video in an MP4 file, each image shown at its own time.

    The file grows as `NAME.partial` and is renamed when it is closed, replacing an older video: a run that is killed
    leaves no broken file under that name. The first image sets the size; later images of another size are fitted into
    it with black bars. As a context manager, it is closed at the end, or discarded after an exception.

    Args:
        path: the video; its name ends in .mp4.
        crf: constant rate factor of libx264: lower means better quality and a larger file.
        preset: speed preset of libx264.
        created: wall-clock time of the first image, for the metadata of the video; none is written if None.

    Raises:
        InputError: see `require_writable`.
    """

    def __init__(self, path: Path, *, crf: int = 21, preset: str = "veryfast", created: datetime | None = None) -> None:
        self.path = require_writable(path)
        self._created = created
        # Without B-frames, which would blur how long images of variable rate are shown.
        self._options: dict[str, object] = {"crf": str(crf), "preset": preset, "bf": "0"}
        self._partial = partial_path(path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._reformatter = VideoReformatter()
        self._size = (0, 0)
        self._start_ns = 0
        self._held: tuple[Image, int] | None = None
        self._period_ns = _LAST_FRAME_NS
        self._closed = False

    def write(self, image: Image, timestamp_ns: int) -> None:
        """Takes the next image.

        Args:
            image: uint8 (H, W, 3) RGB; kept until the next call returns, so do not change it.
            timestamp_ns: when the image is shown, later than the previous one; the video starts with the first.

        Raises:
            InputError: the time is not later than the previous one, or the video is closed.
            StoreError: the disk is full or gone.
        """
        if self._closed:
            raise InputError(f"cannot add an image to the video {self.path}: it is closed; write to it before close.")
        if self._held is not None:
            if timestamp_ns <= self._held[1]:
                raise InputError(
                    f"expected a time after {self._held[1]} ns in {self.path}, got {timestamp_ns} ns: sort by time."
                )
            self._period_ns = timestamp_ns - self._held[1]
            self._encode_held()
        else:
            self._start_ns = timestamp_ns
        self._held = (image, timestamp_ns)

    def close(self) -> None:
        """Finishes the file; without a single image none is written. May be called again.

        Raises:
            StoreError: the disk is full or gone.
        """
        if self._closed:
            return
        if self._held is not None:
            self._encode_held()
        self._closed = True
        if self._container is None or self._stream is None:
            return
        with self._failing_clearly():
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Removes the unfinished video; an older video at its path stays."""
        if not self._closed:
            self._abandon()

    def _abandon(self) -> None:
        self._closed = True
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError):  # the file is removed anyway
                self._container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _encode_held(self) -> None:
        # One image is always held back, because its duration is known only when the next one comes.
        if self._held is None:
            return
        image, timestamp_ns = self._held
        self._held = None
        with self._failing_clearly():
            if self._container is None or self._stream is None:
                self._open(image)
            assert self._container is not None and self._stream is not None  # noqa: S101, PT018  opened above
            frame = self._reformatter.reformat(
                av.VideoFrame.from_ndarray(self._fitted(image), format="rgb24"),
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            frame.time_base = Fraction(1, _TICKS)
            frame.pts = (timestamp_ns - self._start_ns) * _TICKS // 1_000_000_000
            frame.duration = self._period_ns * _TICKS // 1_000_000_000
            self._container.mux(self._stream.encode(frame))

    def _open(self, image: Image) -> None:
        self._size = image.shape[0], image.shape[1]
        self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "faststart"})
        if self._created is not None:
            self._container.metadata["creation_time"] = self._created.isoformat()
        stream = self._container.add_stream(
            "libx264", rate=Fraction(1_000_000_000, self._period_ns).limit_denominator(1001)
        )
        height, width = self._size
        stream.height, stream.width = height + height % 2, width + width % 2  # 4:2:0 needs even sides
        stream.pix_fmt = "yuv420p"
        stream.options = self._options
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._stream = stream

    def _fitted(self, image: Image) -> Image:
        height, width = self._size
        if image.shape[:2] != self._size:
            scale = min(height / image.shape[0], width / image.shape[1])
            inner = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
            small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
            image = np.zeros((height, width, 3), np.uint8)
            image[top : top + inner[1], left : left + inner[0]] = small
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self._abandon()
            raise StoreError(
                f"cannot write the video {self.path} ({error}): check that the disk is not full. "
                "What the store has committed is safe."
            ) from error
