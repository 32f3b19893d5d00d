"""The labels picture: the track id of every pixel, painted from run lengths.

Decoding a full picture for each mask would cost more than segmenting some of them, so only the runs are decoded, and
only the columns that a mask covers are touched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError

_MAX_DIGITS = 6
"""Base-32 digits of one run length; 30 bits hold every picture that fits into memory."""


def decode_runs(counts: bytes, image_size: tuple[int, int]) -> NDArray[np.int64]:
    """Decodes COCO's compressed run lengths, as in pycocotools' rleFrString, but never reads past their end.

    Args:
        counts: the compressed form.
        image_size: height and width of the picture that the runs must fill.

    Returns:
        (R,) lengths of runs outside, inside, outside, ... the mask, column by column.

    Raises:
        InstancesError: the bytes are not run lengths, or not those of such a picture.
    """
    height, width = image_size
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((digits & 0x20) == 0)
    if not len(ends) or ends[-1] != len(digits) - 1 or digits.min() < 0 or digits.max() > 63:
        raise InstancesError(f"expected COCO's compressed run lengths, got {counts[:40]!r}.")
    sizes = np.diff(ends, prepend=-1)
    if sizes.max() > _MAX_DIGITS:
        raise InstancesError(f"expected run lengths below 2^30, got one of {sizes.max()} digits.")
    starts = ends - sizes + 1
    places = np.arange(len(digits)) - np.repeat(starts, sizes)
    runs = np.add.reduceat((digits & 0x1F) << (5 * places), starts)
    runs -= ((digits[ends] & 0x10) != 0).astype(np.int64) << (5 * sizes)
    # From the fourth on, each run is stored as the difference from the one before the last.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if runs.min() < 0 or runs.sum() != height * width:
        raise InstancesError(
            f"expected run lengths that fill a picture of {height} x {width} = {height * width} pixels, "
            f"got {len(runs)} runs that add up to {runs.sum()}."
        )
    return runs


def mask_area(runs: NDArray[np.int64]) -> int:
    """Returns the pixels inside a mask."""
    return int(runs[1::2].sum())


def paint_labels(
    runs: list[NDArray[np.int64]],
    track_ids: NDArray[np.int64],
    scores: NDArray[np.float32],
    out: NDArray[np.uint32],
) -> None:
    """Paints the track id of every pixel; where masks overlap the higher score wins, then the lower id.

    Args:
        runs: the run lengths of N masks.
        track_ids: (N,) instances with id 0 are not painted.
        scores: (N,)
        out: (H, W), overwritten.
    """
    height = out.shape[0]
    out[...] = 0
    for n in np.lexsort((-track_ids, scores)):
        if track_ids[n] == 0 or len(runs[n]) < 2:
            continue
        # Cut the empty columns before the first and behind the last pixel.
        lengths = runs[n].copy()
        left = int(lengths[0]) // height
        lengths[0] -= left * height
        if len(lengths) % 2:
            lengths[-1] = -lengths[:-1].sum() % height
        inside = np.repeat(np.arange(len(lengths)) & 1, lengths).astype(bool).reshape(-1, height)
        np.copyto(out[:, left : left + len(inside)], track_ids[n], where=inside.T, casting="unsafe")
