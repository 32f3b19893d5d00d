"""Run lengths: COCO's compressed form of a mask, and the spans of pixels it stands for.

COCO walks an image column by column and writes the lengths of the runs outside, inside, outside, ... the mask; from
the fourth on each is stored as the difference from the one before the last, in base 32 with the low digits first
(rleToString in pycocotools' maskApi.c). pycocotools reads past the end of malformed bytes, so bytes of unknown origin
are decoded here, all masks at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError

Integers = NDArray[np.int64]

_MAX_DIGITS = 7
"""Maximum number of base-32 digits of one length: 6 hold an image of 2^29 pixels, and 7 cannot overflow below."""


@dataclass(frozen=True, eq=False)
class Spans:
    """The pixels inside N masks, as spans of the image read column by column, in the order of masks and pixels."""

    count: int
    """Number of masks N, including masks without a pixel."""
    owner: Integers
    """(S,) position of the mask that each span belongs to, ascending."""
    start: Integers
    """(S,) first pixel of each span, as x * height + y; ascending within a mask."""
    stop: Integers
    """(S,) pixel after the last one of each span, greater than `start`."""

    @property
    def area(self) -> Integers:
        """(N,) number of pixels inside each mask."""
        below = np.concatenate([[0], np.cumsum(self.stop - self.start)])
        return np.diff(below[np.searchsorted(self.owner, np.arange(self.count + 1))])

    @classmethod
    def joined(cls, parts: Sequence[Spans]) -> Spans:
        """Returns the masks of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        firsts = np.cumsum([0, *(part.count for part in parts)])
        owners = [part.owner + first for part, first in zip(parts, firsts, strict=False)]
        start, stop = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "stop"))
        return cls(int(firsts[-1]), np.concatenate(owners), start, stop)

    def picked(self, masks: NDArray[np.integer[Any]]) -> Spans:
        """Returns the masks at these positions, from 0 to N - 1."""
        edges = np.searchsorted(self.owner, np.arange(self.count + 1))
        lengths = np.diff(edges)[masks]
        last = np.cumsum(lengths)
        rows = np.arange(int(lengths.sum())) + np.repeat(edges[masks] - (last - lengths), lengths)
        return Spans(len(masks), np.repeat(np.arange(len(masks)), lengths), self.start[rows], self.stop[rows])

    def crop(self, mask: int, height: int) -> Crop:
        """Returns one mask, cropped to the part of the image that it covers.

        Args:
            mask: position of the mask, from 0 to N - 1.
            height: height of the image in pixels.
        """
        first, last = np.searchsorted(self.owner, [mask, mask + 1])
        if first == last:
            return Crop(0, 0, np.zeros((0, 0), np.bool_))
        start, stop = self.start[first:last], self.stop[first:last]
        column = start // height
        left, right = int(column[0]), int(stop[-1] - 1) // height + 1
        row, below = start - column * height, stop - column * height
        top, bottom = int(row.min()), int(below.max())
        if bottom > height:  # a span continues in the next column: it covers the end of one and the top of the other
            top, bottom = 0, height
        begin = (column - left) * (bottom - top) + row - top
        steps = np.zeros((right - left) * (bottom - top) + 1, np.int8)
        steps[begin] += 1
        steps[begin + stop - start] -= 1
        return Crop(left, top, np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_).reshape(right - left, -1).T)

    def moved(self, offsets: Integers, image_size: tuple[int, int]) -> Spans:
        """Returns the masks moved by (N, 2) whole pixels x, y; parts outside the image are cut off."""
        height, width = image_size
        # Spans are cut where a column ends, so that each piece moves within its column.
        first, last = self.start // height, (self.stop - 1) // height
        pieces = last - first + 1
        span = np.repeat(np.arange(len(self.start)), pieces)
        column = first[span] + np.arange(len(span)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        top = np.maximum(self.start[span] - column * height, 0)
        bottom = np.minimum(self.stop[span] - column * height, height)
        # A shift by the image's size moves everything out of it; larger offsets could overflow.
        x, y = np.clip(offsets, (-width, -height), (width, height))[self.owner[span]].T
        column, top, bottom = column + x, np.maximum(top + y, 0), np.minimum(bottom + y, height)
        left = (column >= 0) & (column < width) & (top < bottom)
        at = column[left] * height
        return Spans(self.count, self.owner[span[left]], at + top[left], at + bottom[left])


@dataclass(frozen=True, eq=False)
class Crop:
    """The part of an image that a mask covers, so that drawing the mask does not touch the rest."""

    left: int
    """First column of the part, in pixels of the image."""
    top: int
    """First row of the part, in pixels of the image."""
    inside: NDArray[np.bool_]
    """(H', W') whether each pixel of the part is inside the mask; empty if no pixel is."""

    @property
    def region(self) -> tuple[slice, slice]:
        """Slices of the image's rows and columns that select the part."""
        height, width = self.inside.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def shared_pixels(
    spans: Spans, others: Spans, masks: NDArray[np.integer[Any]], other_masks: NDArray[np.integer[Any]]
) -> Integers:
    """Returns the number of pixels that masks share with other masks, pair by pair.

    Args:
        spans: N masks.
        others: M masks of an image of the same size.
        masks: (P,) positions from 0 to N - 1.
        other_masks: (P,) positions from 0 to M - 1.
    """
    if not len(others.start) or not len(masks):
        return np.zeros(len(masks), np.int64)
    # The other masks are laid end to end on one line; a mask's spans are looked up where its partner lies.
    room = max(int(spans.stop.max(initial=0)), int(others.stop.max()))
    begin = others.owner * room + others.start
    length = others.stop - others.start
    below = np.cumsum(length) - length
    chosen = spans.picked(masks)
    line = other_masks[chosen.owner] * room

    def inside_before(pixel: Integers) -> Integers:
        """Counts the pixels inside any of the others up to each one."""
        span = np.maximum(np.searchsorted(begin, pixel, side="right") - 1, 0)
        found: Integers = below[span] + np.clip(pixel - begin[span], 0, length[span])
        return found

    shared = inside_before(line + chosen.stop) - inside_before(line + chosen.start)
    total = np.concatenate([[0], np.cumsum(shared)])
    edges = np.searchsorted(chosen.owner, np.arange(len(masks) + 1))
    counted: Integers = total[edges[1:]] - total[edges[:-1]]
    return counted


def decode(counts: Sequence[bytes], image_size: tuple[int, int]) -> Spans:
    """Decodes COCO's compressed run lengths and checks them.

    Args:
        counts: run lengths of N masks.
        image_size: height and width of the image, which the runs of each mask must fill.

    Raises:
        InstancesError: bytes are not run lengths, or those of an image of another size; the message names the mask.
    """
    sizes = np.array([len(each) for each in counts], np.int64)
    if not len(sizes):
        return _no_spans(0)
    for wrong in np.flatnonzero(sizes == 0)[:1]:
        raise InstancesError(f"mask {wrong}: expected COCO's compressed run lengths, got no bytes.")
    digits = np.frombuffer(b"".join(counts), np.uint8) - np.uint8(48)  # values below 48 wrap around to above 63
    edges = np.cumsum(sizes)
    bad = digits > 63
    bad[edges - 1] |= digits[edges - 1] >= 32  # the last byte of a mask announces another one
    for at in np.flatnonzero(bad)[:1]:
        wrong = int(np.searchsorted(edges, at, side="right"))
        raise InstancesError(f"mask {wrong}: expected COCO's compressed run lengths, got {counts[wrong][:40]!r}.")

    ends = np.flatnonzero(digits < 32)
    lengths = np.diff(ends, prepend=-1)
    head = np.searchsorted(ends, edges, side="left")
    head = np.concatenate([[0], head])
    run_counts = np.diff(head)
    owner = np.repeat(np.arange(len(sizes)), run_counts)
    for at in np.flatnonzero(lengths > _MAX_DIGITS)[:1]:
        raise InstancesError(f"mask {owner[at]}: expected run lengths below 2^34, got one of {lengths[at]} digits.")
    # From the highest digit, whose fifth bit is the sign, down to the lowest.
    highest = digits[ends].astype(np.int64)
    runs = (highest & 0xF) - (highest & 0x10)
    for place in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        runs[longer] = (runs[longer] << 5) + (digits[ends[longer] - place] & 0x1F)

    # Undo the differences by one running sum over the odd and one over the even runs of each mask, without its first
    # run. A mask with an odd number of runs gets one more, so that two columns hold all odd and all even runs.
    rows = (run_counts + 1) // 2
    first_row = np.cumsum(rows) - rows
    place = np.arange(len(runs)) + (2 * first_row - head[:-1])[owner]
    firsts = runs[head[:-1]]
    table = np.zeros((int(rows.sum()), 2), np.int64)
    table.reshape(-1)[place] = runs
    table[first_row, 0] = 0
    table = np.cumsum(table, axis=0)
    before = np.zeros((len(sizes), 2), np.int64)
    before[1:] = table[first_row[1:] - 1]
    table -= np.repeat(before, rows, axis=0)
    table[first_row, 0] = firsts
    runs = table.reshape(-1)[place]
    inside = (place & 1) == 1

    pixels = image_size[0] * image_size[1]
    stop = np.cumsum(np.clip(runs, 0, pixels))
    total = np.diff(np.concatenate([[0], stop])[head])
    odd = (runs < 0) | (runs > pixels)
    wrong_masks = np.union1d(owner[odd], np.flatnonzero(total != pixels))
    for wrong in wrong_masks[:1]:
        raise InstancesError(
            f"mask {wrong}: expected run lengths that fill an image of {image_size[0]} x {image_size[1]} = {pixels} "
            f"pixels, got {runs[owner == wrong].sum()} in {(owner == wrong).sum()} runs."
        )
    chosen = np.flatnonzero(inside & (runs > 0))
    stop = stop[chosen] - owner[chosen] * pixels
    return Spans(len(sizes), owner[chosen], stop - runs[chosen], stop)


def encode(spans: Spans, image_size: tuple[int, int]) -> tuple[bytes, ...]:
    """Encodes masks, byte for byte as pycocotools does."""
    pixels = image_size[0] * image_size[1]
    # Spans that touch, where one column ends and the next begins, are one run.
    apart = np.ones(len(spans.start) + 1, np.bool_)
    apart[1:-1] = (spans.owner[1:] != spans.owner[:-1]) | (spans.start[1:] != spans.stop[:-1])
    owner, start, stop = spans.owner[apart[:-1]], spans.start[apart[:-1]], spans.stop[apart[1:]]

    # Where runs end: the start and stop of each span, then the end of the image unless a span ends there.
    per_mask = np.bincount(owner, minlength=spans.count)
    last = np.cumsum(per_mask)
    full = np.zeros(spans.count, np.bool_)
    some = per_mask > 0
    full[some] = stop[last[some] - 1] == pixels
    runs_per_mask = 2 * per_mask + ~full
    head = np.cumsum(runs_per_mask) - runs_per_mask
    shift = head - 2 * (last - per_mask)
    # Half the bytes if they suffice: the rest is bound by memory.
    kind: type[np.signedinteger[Any]] = np.int32 if pixels < 2**31 else np.int64
    ends = np.full(int(runs_per_mask.sum()), pixels, kind)
    at = 2 * np.arange(len(owner)) + shift[owner]
    ends[at], ends[at + 1] = start, stop
    runs = ends.copy()
    runs[1:] -= ends[:-1]
    runs[head] = ends[head]

    values = runs.copy()
    values[2:] -= runs[:-2]
    for first in range(3):  # the first three of each mask are stored as they are
        rows = head[runs_per_mask > first] + first
        values[rows] = runs[rows]
    return _compress(values, head)


def _compress(values: NDArray[np.signedinteger[Any]], head: Integers) -> tuple[bytes, ...]:
    """Writes signed values in base 32, low digits first; `head` holds the first value of each mask."""
    # A value needs digits for its magnitude, counted from -1 downwards if it is negative, and one bit for its sign.
    magnitude = np.where(values < 0, ~values, values)
    digits = np.ones(len(values), np.int8)
    for count in range(1, _MAX_DIGITS):
        longer = magnitude >= 1 << (5 * count - 1)
        if not longer.any():
            break
        digits += longer
    ends = np.cumsum(digits, dtype=np.int64)
    starts = ends - digits
    text = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    at = starts
    while len(at):
        longer = digits > 1
        text[at] = ((values & 0x1F) + 48).astype(np.uint8) + (longer.view(np.uint8) << 5)
        left = np.flatnonzero(longer)
        at, values, digits = at[left] + 1, values[left] >> 5, digits[left] - 1
    edges = [*starts[head].tolist(), len(text)]
    written = text.tobytes()
    return tuple(written[a:b] for a, b in pairwise(edges))


def spans_of_columns(columns: NDArray[np.bool_]) -> tuple[Integers, Integers, Integers]:
    """Returns the column, the first row and the row after the last one of every vertical run in a (W, H) crop."""
    width, height = columns.shape
    # One empty row between the columns keeps their runs apart.
    apart = np.zeros((width, height + 1), np.bool_)
    apart[:, :height] = columns
    flat = apart.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        changes = np.concatenate([[0], changes])
    column, top = np.divmod(changes[0::2], height + 1)
    return column, top, changes[1::2] - column * (height + 1)


def join(parts: Sequence[tuple[Integers, Integers]]) -> Spans:
    """Returns the spans of N masks, given as (start, stop) of each mask."""
    if not parts:
        return _no_spans(0)
    owner = np.repeat(np.arange(len(parts)), [len(start) for start, _ in parts])
    return Spans(len(parts), owner, np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts]))


def _no_spans(count: int) -> Spans:
    none = np.zeros(0, np.int64)
    return Spans(count, none, none, none)
