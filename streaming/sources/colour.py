"""Converts decoded video frames to upright RGB images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from roadmask.engines.segmenter import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720
_LIMITED_BY_DEFAULT = frozenset({"av1", "h264", "hevc", "mpeg2video", "mpeg4", "vp8", "vp9"})
_STRETCH = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
"""Table from limited range, 16 to 235, to full range."""


class Orientation(NamedTuple):
    """Orientation of an image: one of the eight that a display matrix can state in whole pixels."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False


UPRIGHT = Orientation()
"""Orientation of an image that is shown as it is stored."""


class RgbConverter:
    """Converts the decoded frames of one stream to RGB images: uint8 (H, W, 3), C-contiguous.

    Matrix and range are those that the frame states. If it states no matrix, BT.709 is used from 720 lines up and
    BT.601 below, as in players. Anamorphic images are not resized, so that masks fit the pixels of the file. Ten bits
    are reduced to eight, and transparency is ignored.

    Args:
        codec: FFmpeg's name of the codec.
    """

    def __init__(self, codec: str) -> None:
        self._limited_by_default = codec in _LIMITED_BY_DEFAULT
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> tuple[Image, Orientation]:
        """Returns the upright image, and the orientation that was applied."""
        grey = frame.format.name.startswith("gray")
        hd = frame.colorspace == _UNSPECIFIED_MATRIX and frame.height >= _HD_HEIGHT and not frame.format.is_rgb
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=Colorspace.ITU709 if hd else None)
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if grey and self._is_limited(frame):  # swscale treats grey as full range whatever the frame states
            image = _STRETCH[image]
        orientation = orientation_of(frame)
        return turn(image, orientation), orientation

    def _is_limited(self, frame: VideoFrame) -> bool:
        if frame.color_range == ColorRange.UNSPECIFIED:
            return self._limited_by_default
        return frame.color_range == ColorRange.MPEG


def orientation_of(frame: VideoFrame) -> Orientation:
    """Returns the orientation in a frame's display matrix, rounded to quarter turns."""
    # Not `frame.side_data`, which makes a reference cycle with the frame: a hundred images would pile up in memory.
    side_data = cast("Any", SideDataContainer)(frame)
    if SideDataType.DISPLAYMATRIX not in side_data:
        return UPRIGHT
    matrix = side_data[SideDataType.DISPLAYMATRIX]
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).astype(np.int64)
    # A pixel x, y is shown at a x + c y, b x + d y.
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transposed=True, mirrored_x=bool(c < 0), mirrored_y=bool(b < 0))
    return Orientation(transposed=False, mirrored_x=bool(a < 0), mirrored_y=bool(d < 0))


def turn(image: Image, orientation: Orientation) -> Image:
    """Returns an image after turning it upright."""
    if orientation.transposed:
        image = image.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation.mirrored_y else 1)
    columns = slice(None, None, -1 if orientation.mirrored_x else 1)
    return np.ascontiguousarray(image[rows, columns])
