"""Turns a frame into rows of the arrays of its epoch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Instances, RleMasks
from roadmask.engines.errors import InputError, InstancesError
from roadmask.streaming.store.layout import DISTANCE_ARRAYS, EpochInfo, Extent, FrameState
from roadmask.tracking import Tracks

MAX_TRACK_ID = 2**32 - 1
"""Largest track id: id maps are uint32."""

Rows = dict[str, NDArray[Any]]
"""Name of each array except id_map -> its new rows."""


def frame_rows(frame_index: int, timestamp_ns: int, tracks: Tracks, masks: RleMasks, end: Extent) -> Rows:
    """Turns a frame into rows, which share no memory with the tracks: those may lie in another process's memory.

    Args:
        frame_index: capture count of the frame.
        timestamp_ns: capture time in nanoseconds.
        tracks: tracks of the frame.
        masks: their masks, see `storable_masks`.
        end: extent of the epoch before the frame.
    """
    seen = tracks.instances
    lengths = np.array([len(counts) for counts in masks.counts], np.int64)
    found = tracks.distances
    measured = {} if found is None else zip(DISTANCE_ARRAYS, map(np.copy, vars(found).values()), strict=True)
    return {
        "frames/frame_index": np.array([frame_index], np.int64),
        "frames/timestamp_ns": np.array([timestamp_ns], np.int64),
        "frames/state": np.array([FrameState.STORED], np.uint8),
        "instances/offsets": np.array([end.instances + len(seen)], np.int64),
        "instances/box": seen.boxes.copy(),
        "instances/score": seen.scores.copy(),
        "instances/category_id": seen.category_ids.astype(np.int32),
        "instances/track_id": tracks.track_ids.copy(),
        "instances/state": tracks.states.copy(),
        "instances/area": masks.area,
        "instances/since_detected_ns": _since_detected(seen),
        "instances/rle_offsets": end.rle_bytes + np.cumsum(lengths),
        "instances/rle": np.frombuffer(b"".join(masks.counts), np.uint8),
        **dict(measured),
    }


def _since_detected(seen: Instances) -> NDArray[np.int64]:
    since = seen.since_detected_ns
    return np.zeros(len(seen), np.int64) if since is None else since.copy()


def storable_masks(frame_index: int, tracks: Tracks, info: EpochInfo, class_ids: Collection[int]) -> RleMasks:
    """Returns the masks of a frame as run lengths, after checking that the store can hold the frame.

    Raises:
        InstancesError: masks are missing or malformed, the image size differs from that of the epoch, a track id does
            not fit, or a class has no name in the store.
    """
    seen = tracks.instances
    if seen.masks is None:
        raise InstancesError(
            f"frame {frame_index}: expected instances with masks, got boxes only: a store holds masks."
        )
    if seen.image_size != info.image_size:
        raise InstancesError(
            f"frame {frame_index}: expected instances in images of {info.image_size} (H, W), got {seen.image_size}: "
            f"start another epoch when the image size changes."
        )
    named = [track for track in tracks.track_ids.tolist() if track]
    if named and (min(named) < 0 or max(named) > MAX_TRACK_ID or len(set(named)) < len(named)):
        raise InstancesError(f"frame {frame_index}: expected unique track ids from 1 to 2^32 - 1, got {named}.")
    unknown = sorted(set(seen.category_ids.tolist()).difference(class_ids))
    if unknown:
        raise InstancesError(
            f"frame {frame_index}: expected category ids among {sorted(class_ids)}, got {unknown}: create the store "
            "with class_names for every class that may occur."
        )
    masks = seen.masks.to_rle()
    masks.validate()
    return masks


def require_following(camera: str, last: tuple[int, int | None], frame: tuple[int, int]) -> None:
    """Checks that a frame follows the last one.

    Args:
        camera: name of the camera.
        last: capture count of the last frame of the camera, and the time of the last one of the epoch, or None.
        frame: capture count and time of the frame; times are in nanoseconds.

    Raises:
        InputError: it does not.
    """
    if frame[0] <= last[0]:
        raise InputError(
            f"camera {camera!r}: expected a frame_index above {last[0]}, got {frame[0]}: append frames in the order of "
            "capture."
        )
    if last[1] is not None and frame[1] <= last[1]:
        raise InputError(
            f"camera {camera!r}, frame {frame[0]}: expected a time after {last[1]} ns, got {frame[1]} ns: start "
            "another epoch when the clock changes."
        )
