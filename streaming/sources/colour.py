"""Decoded video frames as upright RGB."""

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
"""Limited range, 16 to 235, to full range."""


class Orientation(NamedTuple):
    """How an image is to be turned, one of the eight ways a display matrix can ask for in whole pixels."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False


UPRIGHT = Orientation()
"""An image that is shown as it is stored."""


class RgbConverter:
    """Turns the decoded frames of one stream into uint8 (H, W, 3) RGB, C-contiguous.

    Matrix and range are those that the frame states. An unstated matrix is BT.709 from 720 lines up and BT.601 below,
    as players do. Pixels stay those of the stream: an anamorphic image is not stretched, so that masks fit the file.
    Ten bits become eight; transparency is ignored.
    """

    def __init__(self, codec: str) -> None:
        self._limited_by_default = codec in _LIMITED_BY_DEFAULT
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> tuple[Image, Orientation]:
        """Returns the upright image, and how it was turned."""
        grey = frame.format.name.startswith("gray")
        hd = frame.colorspace == _UNSPECIFIED_MATRIX and frame.height >= _HD_HEIGHT and not frame.format.is_rgb
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=Colorspace.ITU709 if hd else None)
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if grey and self._is_limited(frame):  # swscale takes grey for full range whatever the frame says
            image = _STRETCH[image]
        orientation = orientation_of(frame)
        return turn(image, orientation), orientation

    def _is_limited(self, frame: VideoFrame) -> bool:
        if frame.color_range == ColorRange.UNSPECIFIED:
            return self._limited_by_default
        return frame.color_range == ColorRange.MPEG


def orientation_of(frame: VideoFrame) -> Orientation:
    """Reads a frame's display matrix; angles that are not a quarter turn go to the nearest."""
    # Not `frame.side_data`: the frame would keep that, and it the frame, so that a hundred images pile up in memory.
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
    """Returns the image as it is to be shown."""
    if orientation.transposed:
        image = image.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation.mirrored_y else 1)
    columns = slice(None, None, -1 if orientation.mirrored_x else 1)
    return np.ascontiguousarray(image[rows, columns])
