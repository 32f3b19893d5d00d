"""One frame as the rows it adds to the arrays of its epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.streaming.store.labels import decode_runs, mask_area
from roadmask.streaming.store.layout import EpochInfo, Extent, FrameState
from roadmask.tracking import Tracks

MAX_TRACK_ID = 2**32 - 1
"""Labels are uint32."""

Rows = dict[str, NDArray[Any]]
"""Name of an array but labels -> its new rows."""


def frame_rows(
    index: int, timestamp_ns: int, tracks: Tracks, info: EpochInfo, end: Extent
) -> tuple[Rows, list[NDArray[np.int64]]]:
    """Turns a frame into rows. They share no memory with the tracks, which may lie in another process's memory.

    Args:
        index: capture count of the frame.
        timestamp_ns: capture time.
        tracks: checked by `check_tracks`.
        info: the epoch it belongs to.
        end: the extent of the epoch without the frame.

    Returns:
        The rows, and the decoded run lengths of the masks.

    Raises:
        InstancesError: a mask does not fill the epoch's pictures.
    """
    seen = tracks.instances
    counts = () if seen.masks is None else seen.masks.to_rle().counts
    runs = [decode_runs(count, info.image_size) for count in counts]
    lengths = np.array([len(count) for count in counts], np.int64)
    rows: Rows = {
        "frames/index": np.array([index], np.int64),
        "frames/timestamp_ns": np.array([timestamp_ns], np.int64),
        "frames/state": np.array([FrameState.STORED], np.uint8),
        "instances/offsets": np.array([end.instances + len(seen)], np.int64),
        "instances/box": seen.boxes.copy(),
        "instances/score": seen.scores.copy(),
        "instances/label": seen.labels.astype(np.int32),
        "instances/track_id": tracks.track_ids.copy(),
        "instances/state": tracks.states.copy(),
        "instances/area": np.array([mask_area(run) for run in runs], np.int64),
        "instances/rle_offsets": end.rle_bytes + np.cumsum(lengths),
        "instances/rle": np.frombuffer(b"".join(counts), np.uint8),
    }
    return rows, runs


def check_tracks(index: int, tracks: Tracks, info: EpochInfo, class_labels: NDArray[np.int64]) -> None:
    """Refuses what a store cannot hold.

    Raises:
        InstancesError: masks are missing, the pictures have another size, an id or a class has no place.
    """
    seen = tracks.instances
    if seen.masks is None:
        raise InstancesError(f"frame {index}: expected instances with masks, got boxes only; a store keeps masks.")
    if seen.image_size != info.image_size:
        raise InstancesError(
            f"frame {index}: expected instances in pictures of {info.image_size} (H, W), got {seen.image_size}; "
            f"start an epoch when the resolution changes."
        )
    named = tracks.track_ids[tracks.track_ids != 0]
    if len(named) and (named.min() < 0 or named.max() > MAX_TRACK_ID or len(np.unique(named)) < len(named)):
        raise InstancesError(f"frame {index}: expected different track ids from 1 to 2^32 - 1, got {named.tolist()}.")
    unknown = np.setdiff1d(seen.labels, class_labels)
    if len(unknown):
        raise InstancesError(
            f"frame {index}: the store was made for classes {class_labels.tolist()}, got {unknown.tolist()}: name "
            f"every class that may occur in class_names."
        )
