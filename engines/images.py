"""Images before they enter an engine: read from a file, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError, InstancesError
from roadmask.engines.segmenter import Image

STORED_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
"""OpenCV's flags for RGB as it is stored in the file, without the rotation that EXIF asks for."""


def decode_image(path: Path, flags: int = cv2.IMREAD_COLOR_RGB) -> NDArray[np.uint8] | None:
    """Decodes an image file; None if it holds no image that OpenCV decodes.

    Args:
        path: JPEG, PNG or another format of OpenCV.
        flags: OpenCV's, for colours and orientation; RGB and upright by default.

    Returns:
        uint8 (H, W, 3), or (H, W) if the flags ask for grey.

    Raises:
        OSError: the file cannot be read.
    """
    content = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(content, flags) if len(content) else None
    except cv2.error:  # larger than OpenCV is willing to decode, or a header that lies
        return None
    return None if image is None else np.ascontiguousarray(image, np.uint8)


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR_RGB) -> Image:
    """Reads an image file as uint8 (H, W, 3) RGB; see `decode_image`.

    Raises:
        InputError: the file cannot be read, or holds no image.
    """
    try:
        image = decode_image(path, flags)
    except OSError as error:
        raise InputError(f"cannot read the image {path}: {error}.") from error
    if image is None:
        raise InputError(f"cannot read {path}: expected an image, such as JPEG or PNG.")
    return image


def checked_image(image: Any) -> Image:
    """Returns the image in contiguous memory.

    Raises:
        InstancesError: not a uint8 (H, W, 3) array with at least one pixel.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InstancesError(f"expected an image as uint8 (H, W, 3) RGB, got {came}.")
    if not image.size:
        raise InstancesError(f"expected an image of at least 1 x 1 pixels, got {image.shape}.")
    return np.ascontiguousarray(image)
