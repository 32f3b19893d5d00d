"""The instances of a stored frame as KITTI MOTS has them: what is exported is what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.masks import RleMasks
from roadmask.streaming.formats.kitti import MOTS_CLASSES
from roadmask.streaming.store import StoredFrame
from roadmask.streaming.store.id_map import visible_masks


@dataclass(frozen=True, eq=False)
class MotsFrame:
    """The tracked cars and pedestrians of one frame, no two of which share a pixel."""

    frame_index: int
    """Capture count of the frame."""
    track_ids: NDArray[np.int64]
    """(N,) ids of their tracks, unique within the frame."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids; keys of `MOTS_CLASSES`."""
    masks: RleMasks
    """N masks, none of them empty."""


def mots_frame(frame: StoredFrame) -> MotsFrame:
    """Takes the tracked cars and pedestrians out of a stored frame.

    A pixel belongs to the tracked instance with the highest score, whatever its class, as in the store's id map: a car
    loses the pixels that a bus with a higher score covers. An instance that loses every pixel is left out, and so is
    one without a track.

    Raises:
        InstancesError: a mask does not fill the image.
    """
    seen, ids = frame.instances, frame.track_ids.astype(np.int64)
    assert seen.masks is not None  # noqa: S101 - a store keeps masks
    masks = seen.masks.to_rle()
    chosen = (ids > 0) & np.isin(seen.category_ids, list(MOTS_CLASSES))
    if chosen.any():
        masks = visible_masks(masks, ids, seen.scores)
        chosen &= masks.area > 0
    rows = np.flatnonzero(chosen)
    return MotsFrame(frame.frame_index, ids[rows], seen.category_ids[rows], masks[rows])
