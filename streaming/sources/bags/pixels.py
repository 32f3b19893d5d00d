"""Converts the images of messages to RGB."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.segmenter import Image
from roadmask.streaming.sources.bags.messages import CameraMessage, MessageError


@dataclass(frozen=True)
class _Layout:
    """How the pixels of an encoding lie in memory."""

    channels: int
    """Values of a pixel in a row."""
    conversion: int | None
    """OpenCV's conversion to RGB; None if the pixels are RGB."""
    depth: int = 8
    """Bits of a value."""
    rows: Callable[[int], int] = lambda height: height
    """Height of the image -> rows of the array that holds it."""


def _layouts() -> dict[str, _Layout]:
    found = {
        "8uc1": _Layout(1, cv2.COLOR_GRAY2RGB),
        "8uc3": _Layout(3, cv2.COLOR_BGR2RGB),
        "8uc4": _Layout(4, cv2.COLOR_BGRA2RGB),
    }
    for depth in (8, 16):
        found |= {
            f"rgb{depth}": _Layout(3, None, depth),
            f"bgr{depth}": _Layout(3, cv2.COLOR_BGR2RGB, depth),
            f"rgba{depth}": _Layout(4, cv2.COLOR_RGBA2RGB, depth),
            f"bgra{depth}": _Layout(4, cv2.COLOR_BGRA2RGB, depth),
            f"mono{depth}": _Layout(1, cv2.COLOR_GRAY2RGB, depth),
            f"bayer_rggb{depth}": _Layout(1, cv2.COLOR_BayerRGGB2RGB, depth),
            f"bayer_bggr{depth}": _Layout(1, cv2.COLOR_BayerBGGR2RGB, depth),
            f"bayer_gbrg{depth}": _Layout(1, cv2.COLOR_BayerGBRG2RGB, depth),
            f"bayer_grbg{depth}": _Layout(1, cv2.COLOR_BayerGRBG2RGB, depth),
        }
    for names, conversion in (
        (("yuv422", "uyvy"), cv2.COLOR_YUV2RGB_UYVY),
        (("yuv422_yuy2", "yuyv", "yuy2"), cv2.COLOR_YUV2RGB_YUY2),
    ):
        found |= dict.fromkeys(names, _Layout(2, conversion))
    planes: Callable[[int], int] = lambda height: height * 3 // 2  # noqa: E731 - a value, not a function of its own
    found["nv12"] = _Layout(1, cv2.COLOR_YUV2RGB_NV12, rows=planes)
    found["nv21"] = _Layout(1, cv2.COLOR_YUV2RGB_NV21, rows=planes)
    found |= dict.fromkeys(("i420", "yuv420", "yuv420p"), _Layout(1, cv2.COLOR_YUV2RGB_I420, rows=planes))
    return found


LAYOUTS = _layouts()
"""Encoding in lower case -> layout."""


def is_depth(encoding: str) -> bool:
    """Returns whether an encoding is that of distances or labels, not of an image to look at."""
    return re.fullmatch(r"(16UC1|16SC\d|32SC\d|32FC\d|64FC\d)", encoding, re.IGNORECASE) is not None


def raw_to_rgb(message: CameraMessage) -> Image:
    """Returns the pixels of a raw image as contiguous uint8 (H, W, 3) RGB. 16 bits are reduced to 8.

    Raises:
        MessageError: the encoding is unknown, or the message holds fewer bytes than its size needs.
    """
    layout = LAYOUTS.get(message.encoding.strip().lower())
    height, width = message.height, message.width
    if layout is None:
        raise MessageError(f"the encoding {message.encoding!r} is not read: expected one of {', '.join(LAYOUTS)}")
    row = width * layout.channels * layout.depth // 8
    step, rows = message.step or row, layout.rows(height)
    shape = f"{width} x {height} in {message.encoding}"
    if not height or not width or step < row:
        raise MessageError(f"an image states {shape} with rows of {step} bytes")
    # The last row may lack its padding.
    needed = step * (rows - 1) + row
    if len(message.data) < needed:
        raise MessageError(f"an image states {shape}, which needs {needed} bytes, and holds {len(message.data)}")
    flat = np.frombuffer(message.data, np.uint8)
    lines = np.lib.stride_tricks.as_strided(flat, (rows, row), (step, 1), writeable=False)
    try:
        return _converted(np.ascontiguousarray(lines), message, layout)
    except cv2.error as error:
        raise MessageError(f"an image of {shape} cannot be converted: {error.err}") from error


def _converted(lines: NDArray[np.uint8], message: CameraMessage, layout: _Layout) -> Image:
    if layout.depth == 16:  # the high byte is the image in 8 bits
        lines = lines[:, 0 if message.big_endian else 1 :: 2]
    pixels = lines.reshape(lines.shape[0], message.width, layout.channels)
    pixels = np.ascontiguousarray(pixels[:, :, 0] if layout.channels == 1 else pixels)
    rgb = pixels.copy() if layout.conversion is None else cv2.cvtColor(pixels, layout.conversion)
    return np.ascontiguousarray(rgb, np.uint8)


def compressed_to_rgb(message: CameraMessage) -> Image:
    """Decodes a JPEG, PNG or WebP to contiguous uint8 (H, W, 3) RGB.

    Raises:
        MessageError: it cannot be decoded.
    """
    try:
        image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR_RGB) if message.data else None
    except cv2.error:
        image = None
    if image is None:
        raise MessageError(f"{len(message.data)} bytes of {message.encoding or 'a compressed image'} cannot be decoded")
    return np.ascontiguousarray(image, np.uint8)
