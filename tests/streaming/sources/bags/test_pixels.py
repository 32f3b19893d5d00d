"""Every encoding of ROS images gives the RGB that was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.streaming.sources.bags.messages import CameraMessage, MessageError
from roadmask.streaming.sources.bags.pixels import LAYOUTS, is_depth, raw_to_rgb

COLOUR = (200, 120, 40)
HEIGHT, WIDTH = 8, 12
RGB = np.full((HEIGHT, WIDTH, 3), COLOUR, np.uint8)
GREY = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)


def message(pixels: NDArray[np.generic], encoding: str, step: int = 0, big_endian: bool = False) -> CameraMessage:
    data = memoryview(np.ascontiguousarray(pixels).view(np.uint8).reshape(-1))
    return CameraMessage(0, "", data, encoding, HEIGHT, WIDTH, step, big_endian)


def bayer(pattern: str) -> NDArray[np.uint8]:
    values = dict(zip("rgb", COLOUR, strict=True))
    tile = np.array([[values[pattern[0]], values[pattern[1]]], [values[pattern[2]], values[pattern[3]]]], np.uint8)
    return np.tile(tile, (HEIGHT // 2, WIDTH // 2))


def packed(name: str) -> NDArray[np.uint8]:
    y, u, v = (int(each) for each in cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV)[0, 0])
    order = {"uyvy": [u, y, v, y], "yuyv": [y, u, y, v]}[name]
    return np.tile(np.array(order, np.uint8), (HEIGHT, WIDTH // 2))


def planes(name: str) -> NDArray[np.uint8]:
    whole = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420)
    if name == "i420":
        return whole
    y = whole[:HEIGHT]
    u, v = (part.reshape(-1) for part in np.split(whole[HEIGHT:].reshape(-1), 2))
    pairs = np.stack([u, v] if name == "nv12" else [v, u], axis=1)
    return np.concatenate([y, pairs.reshape(-1, WIDTH)])


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("RGB8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("8UC3", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, RGB[..., :1]])),
        ("bgra8", np.dstack([RGB[..., ::-1], RGB[..., :1]])),
        ("rgb16", RGB.astype("<u2") * 257),
        ("bgr16", RGB[..., ::-1].astype("<u2") * 257),
        *((f"bayer_{pattern}8", bayer(pattern)) for pattern in ("rggb", "bggr", "gbrg", "grbg")),
        ("bayer_rggb16", bayer("rggb").astype("<u2") * 257),
    ],
)
def test_exact_encodings(encoding: str, pixels: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(raw_to_rgb(message(pixels, encoding)), RGB)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("yuv422_yuy2", packed("yuyv")),
        ("yuyv", packed("yuyv")),
        ("yuv422", packed("uyvy")),
        ("uyvy", packed("uyvy")),
        ("nv12", planes("nv12")),
        ("nv21", planes("nv21")),
        ("i420", planes("i420")),
    ],
)
def test_encodings_with_luma(encoding: str, pixels: NDArray[np.uint8]) -> None:
    rgb = raw_to_rgb(message(pixels, encoding))
    assert rgb.shape == RGB.shape
    # full and limited range of luma differ by at most a sixth
    assert np.abs(rgb.astype(int) - RGB).max() < 40
    assert np.argmax(rgb[0, 0]) == 0
    assert np.argmin(rgb[0, 0]) == 2


def test_grey_padding_and_byte_order() -> None:
    expected = np.dstack([GREY] * 3)
    np.testing.assert_array_equal(raw_to_rgb(message(GREY, "mono8")), expected)
    wide = (GREY.astype(np.uint16) * 256).astype(">u2")
    np.testing.assert_array_equal(raw_to_rgb(message(wide, "mono16", big_endian=True)), expected)
    padded = np.pad(GREY, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(raw_to_rgb(message(padded, "mono8", step=WIDTH + 5)), expected)
    without_last_padding = padded.reshape(-1)[:-5]
    np.testing.assert_array_equal(raw_to_rgb(message(without_last_padding, "mono8", step=WIDTH + 5)), expected)


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_too_few_bytes_are_refused(encoding: str) -> None:
    with pytest.raises(MessageError, match=r"needs \d+ bytes, and holds 30"):
        raw_to_rgb(message(np.zeros(30, np.uint8), encoding))


def test_unknown_encodings_and_depth_are_refused() -> None:
    with pytest.raises(MessageError, match="encoding 'jp3' is not read: expected one of"):
        raw_to_rgb(message(RGB, "jp3"))
    with pytest.raises(MessageError, match="states 12 x 8"):
        raw_to_rgb(message(RGB, "rgb8", step=2))
    assert is_depth("16UC1")
    assert is_depth("32FC1")
    assert not is_depth("mono16")
