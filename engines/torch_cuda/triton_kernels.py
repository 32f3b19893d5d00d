"""Two steps of the graph that torch runs in many passes over memory, as one Triton kernel each.

They compute what `GraphLetterbox` and `AtlasRoIAlign` do, straight from camera frames and from the FPN's own levels.
Images lie in memory row by row with their channels together (NHWC), as tensor cores want them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from roadmask.engines.letterbox import PADDING
from roadmask.engines.networks.graph_io import Inputs

_COLUMNS = 256
"""Pixels of a row that a program of `_letterbox` makes."""


# Triton's language has no types for what kernels take.
@triton.jit  # type: ignore[untyped-decorator]
def _letterbox(  # type: ignore[no-untyped-def]
    frames, rows, row_weights, columns, column_weights, content, mean, std, out,
    frame_height, frame_width, height, width,
    padding_r, padding_g, padding_b, block: tl.constexpr,
):  # fmt: skip
    y = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    x = tl.program_id(0) * block + tl.arange(0, block)
    inside = x < width
    below = tl.where(y >= tl.load(content).to(tl.int32), 1, 0)
    is_padding = (tl.where(x >= tl.load(content + 1).to(tl.int32), 1, 0) + below) > 0
    left, right = tl.load(columns + x, inside, 0) * 3, tl.load(columns + width + x, inside, 0) * 3
    left_weight = tl.load(column_weights + x, inside, 0)
    right_weight = tl.load(column_weights + width + x, inside, 0)
    for channel in tl.static_range(3):
        total = tl.zeros((block,), tl.int32)
        for tap in tl.static_range(2):
            row = tl.load(rows + tap * height + y)
            line = frames + (image * frame_height + row) * frame_width * 3 + channel
            mixed = tl.load(line + left, inside, 0).to(tl.int32) * left_weight
            mixed += tl.load(line + right, inside, 0).to(tl.int32) * right_weight
            total += ((mixed >> 4) * tl.load(row_weights + tap * height + y)) >> 16
        padding = padding_r if channel == 0 else (padding_g if channel == 1 else padding_b)
        value = tl.where(is_padding, padding, (total + 2) >> 2).to(tl.float32)
        normalised = (value - tl.load(mean + channel)) / tl.load(std + channel)
        place = out + ((image * height + y) * width + x) * 3 + channel
        tl.store(place, normalised.to(out.dtype.element_ty), inside)


def letterbox(inputs: Inputs, mean: Tensor, std: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Resizes, pads and normalises frames.

    Args:
        inputs: of the graph; see resizing.py for the arithmetic.
        mean: float (3,), of pixels from 0 to 255.
        std: float (3,), likewise.
        shape: height and width of the network's input.
        dtype: of the result.

    Returns:
        (B, 3, H, W), NHWC in memory.
    """
    frames = inputs.frames.contiguous()
    batch, frame_height, frame_width, _ = frames.shape
    out = torch.empty((batch, *shape, 3), dtype=dtype, device=frames.device)
    taps = (inputs.rows, inputs.row_weights, inputs.columns, inputs.column_weights)
    grid = (triton.cdiv(shape[1], _COLUMNS), shape[0], batch)
    _letterbox[grid](
        frames, *taps, inputs.content, mean, std, out, frame_height, frame_width, *shape, *PADDING, _COLUMNS
    )
    return out.permute(0, 3, 1, 2)


@triton.jit  # type: ignore[untyped-decorator]
def _roi_align(  # type: ignore[no-untyped-def]
    p2, p3, p4, p5, boxes, out, boxes_of_an_image, height_of_p2, width_of_p2,
    channels: tl.constexpr, side: tl.constexpr,
):  # fmt: skip
    box = tl.program_id(0).to(tl.int64)
    bin_y = tl.program_id(1)
    x1, y1 = tl.load(boxes + box * 4), tl.load(boxes + box * 4 + 1)
    x2, y2 = tl.load(boxes + box * 4 + 2), tl.load(boxes + box * 4 + 3)
    level = tl.floor(4 + tl.log2(tl.sqrt((x2 - x1) * (y2 - y1)) / 224 + 1e-12) + 1e-6)
    level = tl.minimum(tl.maximum(level, 2.0), 5.0).to(tl.int32) - 2
    # Pointers cannot be chosen among, their addresses can.
    first, second = tl.where(level == 0, p2.to(tl.int64), p3.to(tl.int64)), p4.to(tl.int64)
    address = tl.where(level < 2, first, tl.where(level == 2, second, p5.to(tl.int64)))
    features = address.to(tl.pointer_type(p2.dtype.element_ty))
    height, width = height_of_p2 >> level, width_of_p2 >> level
    scale = tl.where(level < 2, tl.where(level == 0, 1 / 4, 1 / 8), tl.where(level == 2, 1 / 16, 1 / 32))
    left, top = x1 * scale, y1 * scale
    across, down = tl.maximum(x2 * scale - left, 1.0), tl.maximum(y2 * scale - top, 1.0)
    channel = tl.arange(0, channels)
    image = (box // boxes_of_an_image) * height * width
    for bin_x in range(side):
        total = tl.zeros((channels,), tl.float32)
        for sample_y in tl.static_range(2):
            point_y = top + (bin_y * 2 + sample_y + 0.5) / (side * 2) * down
            y = tl.minimum(tl.maximum(point_y, 0.0), (height - 1).to(tl.float32))
            upper = tl.floor(y).to(tl.int32)
            lower, part_y = tl.minimum(upper + 1, height - 1), y - upper
            for sample_x in tl.static_range(2):
                point_x = left + (bin_x * 2 + sample_x + 0.5) / (side * 2) * across
                x = tl.minimum(tl.maximum(point_x, 0.0), (width - 1).to(tl.float32))
                near = tl.floor(x).to(tl.int32)
                far, part_x = tl.minimum(near + 1, width - 1), x - near
                # torchvision gives zero beyond one pixel outside the level
                seen = (point_x >= -1) & (point_x <= width) & (point_y >= -1) & (point_y <= height)
                upper_row, lower_row = image + upper * width, image + lower * width
                a = tl.load(features + (upper_row + near) * channels + channel).to(tl.float32)
                b = tl.load(features + (upper_row + far) * channels + channel).to(tl.float32)
                c = tl.load(features + (lower_row + near) * channels + channel).to(tl.float32)
                d = tl.load(features + (lower_row + far) * channels + channel).to(tl.float32)
                above, beneath = a + (b - a) * part_x, c + (d - c) * part_x
                total += tl.where(seen, 0.25, 0.0) * (above + (beneath - above) * part_y)
        place = out + ((box * side + bin_y) * side + bin_x) * channels + channel
        tl.store(place, total.to(out.dtype.element_ty))


def roi_align(features: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
    """Samples boxes from the level of the FPN that each belongs to, as torchvision's MultiScaleRoIAlign does.

    Args:
        features: P2 to P5, (B, C, h, w) each, C a power of two.
        boxes: float (B, N, 4) x1, y1, x2, y2 in pixels of the network's input.
        side: bins along each side of the result, of two by two samples.

    Returns:
        (B * N, C, side, side) of the features' type, NHWC in memory.
    """
    levels: list[Any] = [each.permute(0, 2, 3, 1).contiguous() for each in features]
    flat = boxes.reshape(-1, 4).contiguous()
    _, height, width, channels = levels[0].shape
    out = torch.empty((len(flat), side, side, channels), dtype=levels[0].dtype, device=flat.device)
    # One warp: its 32 lanes load 8 of 256 halves each, which is the widest load there is.
    _roi_align[len(flat), side](*levels, flat, out, boxes.shape[1], height, width, channels, side, num_warps=1)
    return out.permute(0, 3, 1, 2)
