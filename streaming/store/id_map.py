"""The id map: which track every pixel belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import RleMasks


def paint_id_map(
    masks: RleMasks, track_ids: NDArray[np.int64], scores: NDArray[np.float32], out: NDArray[np.uint32]
) -> None:
    """Paints the track id of every pixel; where masks overlap the higher score wins, then the lower id.

    The class has no influence: a car under a bus with a higher score loses the pixels that both claim.

    Only the part of the image that a mask covers is touched, because full images would take longer than segmentation.

    Args:
        masks: N masks.
        track_ids: (N,) track ids; instances with id 0 are not painted.
        scores: (N,) confidences.
        out: (H, W) id map, overwritten.

    Raises:
        InstancesError: a mask does not fill the image.
    """
    out[...] = 0
    for n in np.lexsort((-track_ids, scores)).tolist():
        if track_ids[n]:
            crop = masks.crop(n)
            np.copyto(out[crop.region], track_ids[n], where=crop.inside, casting="unsafe")


def visible_masks(masks: RleMasks, track_ids: NDArray[np.int64], scores: NDArray[np.float32]) -> RleMasks:
    """Returns every mask without the pixels that the id map gives to another instance.

    Args:
        masks: N masks of one frame.
        track_ids: (N,) track ids; instances with id 0 own no pixel.
        scores: (N,) confidences.

    Returns:
        N masks, no two of which share a pixel. One that keeps all its pixels keeps its bytes.

    Raises:
        InstancesError: a mask does not fill the image.
    """
    painted = np.empty(masks.image_size, np.uint32)
    paint_id_map(masks, track_ids, scores, painted)
    counts = list(masks.counts)
    for n, track_id in enumerate(track_ids.tolist()):
        crop = masks.crop(n)
        own = (painted[crop.region] == track_id) & crop.inside if track_id else np.zeros_like(crop.inside)
        if own.sum() < crop.inside.sum():
            dense = np.zeros((1, *masks.image_size), bool)
            dense[0][crop.region] = own
            (counts[n],) = RleMasks.from_dense(dense, masks.image_size).counts
    return RleMasks(tuple(counts), masks.image_size)
