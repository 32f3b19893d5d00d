"""Images of any size go into few shapes, and boxes come back exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadmask.engines import ConfigError
from roadmask.engines.letterbox import INPUT_SIZES, STRIDE, Letterbox, choose_input_size, parse_input_size

SIDES = st.integers(1, 5000)


@given(SIDES, SIDES)
def test_content_fits_and_keeps_the_aspect(height: int, width: int) -> None:
    box = Letterbox.fit((height, width))
    assert box.input_size in INPUT_SIZES
    inside = [1 <= content <= side for content, side in zip(box.content_size, box.input_size, strict=True)]
    assert all(inside)
    assert any(content == side for content, side in zip(box.content_size, box.input_size, strict=True))
    scales = box.content_size[0] / height, box.content_size[1] / width
    # Rounding moves each side by at most half a pixel, and up to one for sides that would vanish.
    assert abs(scales[0] - scales[1]) * height <= 1 or abs(scales[0] - scales[1]) * width <= 1


@given(SIDES, SIDES, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5))
def test_boxes_come_back(height: int, width: int, corners: list[tuple[float, ...]]) -> None:
    box = Letterbox.fit((height, width))
    fractions = np.array(corners, np.float64).reshape(-1, 4)
    original = fractions * [width, height, width, height]
    scale_y, scale_x = box.content_size[0] / height, box.content_size[1] / width
    in_network = (original * [scale_x, scale_y, scale_x, scale_y]).astype(np.float32)
    np.testing.assert_allclose(box.undo(in_network), original, rtol=1e-6, atol=1e-4)


def test_boxes_are_clipped_to_the_image() -> None:
    box = Letterbox.fit((100, 100), (64, 128))
    assert box.content_size == (64, 64)
    np.testing.assert_array_equal(box.undo(np.array([[-5, 0, 128, 64]], np.float32)), [[0, 0, 100, 100]])


@pytest.mark.parametrize(
    ("image_size", "shape"),
    [
        ((540, 960), (384, 640)),  # 16:9
        ((1080, 1920), (384, 640)),
        ((1920, 1080), (640, 384)),  # a telephone held upright
        ((375, 1242), (192, 640)),  # KITTI: half of 384 x 640 would be padding
        ((480, 640), (384, 512)),  # 4:3
        ((500, 500), (384, 384)),
        ((800, 1920), (256, 640)),
        ((1, 1), (384, 384)),
        ((1, 5000), (192, 640)),
        ((5000, 1), (640, 192)),
    ],
)
def test_shape_follows_the_aspect(image_size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert choose_input_size(image_size) == shape


def test_shapes_suit_the_backbone() -> None:
    assert all(side % STRIDE == 0 for shape in INPUT_SIZES for side in shape)
    assert len(set(INPUT_SIZES)) == len(INPUT_SIZES)


def test_image_lies_top_left_and_the_rest_is_padding() -> None:
    image = np.full((50, 200, 3), 200, np.uint8)
    canvas = Letterbox.fit((50, 200), (64, 128)).apply(image)
    assert canvas.shape == (64, 128, 3)
    assert (canvas[:32] == 200).all()
    assert (canvas[32:] == (124, 116, 104)).all()


def test_image_of_the_right_size_is_not_resampled() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8)
    assert np.array_equal(Letterbox.fit((64, 128), (64, 128)).apply(image), image)


def test_sizes_are_read() -> None:
    assert parse_input_size("384x640") == (384, 640)
    assert parse_input_size("96X64") == (96, 64)
    assert parse_input_size((384, 640)) == (384, 640)
    assert parse_input_size(tuple(np.array([384, 640]))) == (384, 640)


@pytest.mark.parametrize("size", ["384", "384x", "axb", "384x640x3", "", (1, 2, 3), 384, (384, 640.9), (384, None)])
def test_sizes_that_cannot_be_read(size: Any) -> None:
    with pytest.raises(ConfigError, match=r"384x640, or as two integers, got "):
        parse_input_size(size)


@pytest.mark.parametrize(
    ("size", "near"), [("375x640", "384x640"), ("0x640", "64x640"), ("-32x64", "64x64"), ("9000x64", "2048x64")]
)
def test_sizes_that_do_not_suit_the_backbone(size: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"use {near}"):
        parse_input_size(size)
