"""The labels image: the track id of every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import RleMasks


def paint_id_map(
    masks: RleMasks, track_ids: NDArray[np.int64], scores: NDArray[np.float32], out: NDArray[np.uint32]
) -> None:
    """Paints the track id of every pixel; where masks overlap the higher score wins, then the lower id.

    Only the part that a mask covers is touched: full images would cost more than segmenting some of them.

    Args:
        masks: N masks.
        track_ids: (N,) instances with id 0 are not painted.
        scores: (N,)
        out: (H, W), overwritten.

    Raises:
        InstancesError: a mask does not fill the image.
    """
    out[...] = 0
    for n in np.lexsort((-track_ids, scores)).tolist():
        if track_ids[n]:
            crop = masks.crop(n)
            np.copyto(out[crop.region], track_ids[n], where=crop.inside, casting="unsafe")
