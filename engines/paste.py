"""Pastes box-local masks into the image, at a cost that grows with the length of their outlines, not with their area.

Stretched over its box, a mask's grid is linear between two of its rows. Each column of pixels is therefore evaluated
only where it crosses the grid's rows, a few dozen times whatever the height of the box. Between two rows it crosses the
threshold at most once, and the place follows from the two values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.run_lengths import Integers, Spans

Floats = NDArray[np.float32]

_FAR = np.float32(1e9)
"""Coordinates are clipped to this many pixels, so that they can be converted to integers."""
_COLUMNS_AT_A_TIME = 16384
"""Maximum number of columns in a batch: 2 MB for 30 rows of a grid, which fit into the processor's cache."""


def paste(probabilities: Floats, boxes: Floats, image_size: tuple[int, int], threshold: float) -> Spans:
    """Pastes masks as torchvision's `paste_masks_in_image` does, then applies `>= threshold`.

    The grid gets a border of one empty cell. The box grows by as much and is truncated to whole pixels, both edges
    included. The grid is stretched over it bilinearly (pixel centres aligned, no antialiasing). Only the part of the
    box inside the image is computed.

    Args:
        probabilities: (N, M, M) probabilities, 0 to 1.
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        image_size: height and width of the image in pixels.
        threshold: minimum probability inside a mask, above 0.
    """
    side = probabilities.shape[-1] + 2
    grids = np.pad(probabilities.transpose(0, 2, 1), ((0, 0), (1, 1), (1, 1)))  # (N, x, y)
    first, last = _grown(boxes, np.float32(side / probabilities.shape[-1]))
    visible = np.minimum(last[:, 0], image_size[1] - 1) - np.maximum(first[:, 0], 0) + 1
    owners, starts, stops = [], [], []
    for masks in _batches(visible):
        owner, start, stop = _spans(grids[masks], first[masks], last[masks], image_size, np.float32(threshold))
        owners.append(owner + masks.start)
        starts.append(start)
        stops.append(stop)
    if not owners:
        owners = starts = stops = [np.zeros(0, np.int64)]
    return Spans(len(boxes), np.concatenate(owners), np.concatenate(starts), np.concatenate(stops))


def _grown(boxes: Floats, scale: np.float32) -> tuple[Integers, Integers]:
    """Returns the first and the last pixel x, y, (N, 2) each, of boxes grown about their centre."""
    boxes = np.clip(boxes, -_FAR, _FAR)
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * scale
    centre = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    return (centre - half).astype(np.int64), (centre + half).astype(np.int64)


def _batches(columns: Integers) -> Iterator[slice]:
    """Yields ranges of masks that together have few enough columns to be pasted at once."""
    begin = total = 0
    for mask, count in enumerate(np.maximum(columns, 0).tolist()):
        if total and total + count > _COLUMNS_AT_A_TIME:
            yield slice(begin, mask)
            begin, total = mask, 0
        total += count
    if begin < len(columns):
        yield slice(begin, len(columns))


@dataclass(frozen=True)
class _Axis:
    """The pixels of N boxes along one axis of the image, as far as they lie in it, concatenated box by box."""

    owner: Integers
    """(P,) position of the box of each pixel."""
    low: Integers
    """(P,) row or column of the grid at or before each pixel."""
    part: Floats
    """(P,) distance of each pixel from `low`, as a fraction of the way to the next row or column, 0 to 1."""
    origin: Integers
    """(N,) index in the concatenation at which the first pixel of each box is, or would be if it lay in the image."""
    first: Integers
    """(N,) coordinate in the image of the first pixel of each box."""
    length: Integers
    """(N,) number of pixels of each box along the axis."""

    @classmethod
    def stretched(cls, first: Integers, last: Integers, size: int, side: int) -> _Axis:
        """Stretches grids of `side` cells over the pixels first..last, (N,) each, of an image with `size` pixels."""
        length = np.maximum(last - first + 1, 1)
        begin = np.maximum(-first, 0)
        count = np.maximum(np.minimum(length, size - first) - begin, 0)
        origin = np.cumsum(count) - count - begin
        owner = np.repeat(np.arange(len(first)), count)
        pixel = (np.arange(len(owner)) - origin[owner]).astype(np.float32)
        scale = (side / length).astype(np.float32)[owner]
        source = np.maximum(scale * (pixel + np.float32(0.5)) - np.float32(0.5), np.float32(0))
        low = source.astype(np.int64)
        return cls(owner, low, source - low.astype(np.float32), origin, first, length)

    @property
    def offset(self) -> Integers:
        """(N,) number to add to an index in the concatenation to get the coordinate in the image."""
        return self.first - self.origin


def _spans(
    grids: Floats, first: Integers, last: Integers, image_size: tuple[int, int], threshold: np.float32
) -> tuple[Integers, Integers, Integers]:
    """Returns owner, start and stop as in `Spans`, for (N, side, side) grids in the order x, y whose border is 0."""
    height, width = image_size
    side = grids.shape[-1]
    columns = _Axis.stretched(first[:, 0], last[:, 0], width, side)
    rows = _Axis.stretched(first[:, 1], last[:, 1], height, side)

    # The value of each column of pixels where it crosses the grid's rows, (columns, side).
    flat = grids.reshape(-1, side)
    part = columns.part[:, None]
    values = flat[columns.owner * side + columns.low]
    values *= 1 - part
    nearer = flat[columns.owner * side + np.minimum(columns.low + 1, side - 1)]
    nearer *= part
    values += nearer

    # The border is 0, so a column begins and ends outside: changes enter and leave the mask in turn.
    values = values.reshape(-1)
    inside = values >= threshold
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    column = changes // side
    owner = columns.owner[column]
    place = _crossings(rows, side, owner, changes - column * side, values[changes], values[changes + 1], threshold)
    at = place + (rows.offset + columns.offset * height)[owner] + column * height
    start, stop = at[0::2], at[1::2]
    some = start < stop  # a sliver may lie between the centres of two pixels
    return owner[0::2][some], start[some], stop[some]


def _crossings(
    rows: _Axis, side: int, owner: Integers, node: Integers, above: Floats, below: Floats, threshold: np.float32
) -> Integers:
    """Returns the index in `rows` of the first pixel after each crossing of the threshold.

    Args:
        rows: pixels of the masks along the vertical axis.
        side: number of rows of a grid.
        owner: (X,) position of the mask of each crossing.
        node: (X,) row of the grid before the crossing.
        above: (X,) value at that row.
        below: (X,) value at the next row, on the other side of the threshold.
        threshold: minimum value inside a mask.
    """
    # Where the pixels between two rows of a grid begin; clipped to the image, as `rows` is.
    begins = np.searchsorted(rows.owner * side + rows.low, np.arange(len(rows.length) * side + 1))
    cell = owner * side + node
    lowest, highest = begins[cell], begins[cell + 1]
    enters = below >= threshold

    def is_beyond(crossings: Integers, places: Integers) -> NDArray[np.bool_]:
        # In float32 and in torchvision's order of operations, so that every pixel is the same.
        part = rows.part[places]
        values = above[crossings] * (1 - part) + below[crossings] * part
        beyond: NDArray[np.bool_] = (values >= threshold) == enters[crossings]
        return beyond

    source = node + (threshold - above) / (below - above) + np.float32(0.5)
    guess = np.ceil(source * (rows.length / side)[owner] - 0.5) + rows.origin[owner]
    place = np.clip(guess, lowest, highest).astype(np.int64)
    # Rounding moves a guess by at most one pixel, except for boxes of millions of pixels.
    moved = np.flatnonzero(place > lowest)
    while len(moved := moved[is_beyond(moved, place[moved] - 1)]):
        place[moved] -= 1
        moved = moved[place[moved] > lowest[moved]]
    moved = np.flatnonzero(place < highest)
    while len(moved := moved[~is_beyond(moved, place[moved])]):
        place[moved] += 1
        moved = moved[place[moved] < highest[moved]]
    return place
