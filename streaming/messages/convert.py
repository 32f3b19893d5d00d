"""Makes `roadmask_msgs/InstanceArray` of the tracks of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.geometry.distance.distances import DistanceReason, Distances
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.messages.fields import (
    PATH_NO,
    PATH_UNKNOWN,
    PATH_YES,
    FrameCount,
    InstanceArray,
    InstanceMessage,
    LostTrackMessage,
    RangeReason,
)
from roadmask.tracking import LostTracks

_RANGE_REASONS = {
    DistanceReason.KNOWN: RangeReason.KNOWN,
    DistanceReason.NO_CALIBRATION: RangeReason.UNCALIBRATED,
    DistanceReason.CUT: RangeReason.CUT,
    DistanceReason.HIDDEN_FOOT: RangeReason.HIDDEN_FOOT,
    DistanceReason.ABOVE_HORIZON: RangeReason.ABOVE_HORIZON,
}
"""What the message says of each reason; of others that the distance was not estimated."""
_IN_PATH = {0: PATH_NO, 1: PATH_YES}


@dataclass
class FrameAccount:
    """The outcomes of a camera's frames so far."""

    stored: int = 0
    """Number of frames with a result."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> number of frames left out on purpose."""
    failed: dict[str, int] = field(default_factory=dict)
    """Reason -> number of frames that could not be used."""

    def add_lost(self, item: LostFrame) -> None:
        """Counts a frame without a result."""
        counts = self.failed if item.outcome == "failed" else self.dropped
        counts[item.reason] = counts.get(item.reason, 0) + 1

    @property
    def captured(self) -> int:
        """Number of frames with any outcome."""
        return self.stored + sum(self.dropped.values()) + sum(self.failed.values())


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What is known of one frame, from a run or from a store."""

    camera: str
    """Name of the camera."""
    frame_index: int
    """Capture count of the camera."""
    timestamp_ns: int
    """Capture time in nanoseconds."""
    epoch: int
    """Epoch of the camera."""
    instances: Instances
    """N instances."""
    track_ids: NDArray[np.int64]
    """(N,) track ids; 0 for an instance without a track."""
    states: NDArray[np.uint8]
    """(N,) values of `TrackState`."""
    ages_ns: NDArray[np.int64]
    """(N,) ages of the tracks in nanoseconds."""
    velocities: NDArray[np.float32] | None = None
    """(N, 2) velocities of the box centres in pixels per second; None if they are not known."""
    lost: LostTracks | None = None
    """Confirmed tracks that were not found; None if they are not known."""
    distances: Distances | None = None
    """N distances; None if they were not estimated."""


def instance_array(
    result: FrameResult, account: FrameAccount, class_names: Mapping[int, str], *, frame_id: str, model: str = ""
) -> InstanceArray:
    """Returns the message of one frame.

    Args:
        result: the frame and its tracks.
        account: outcomes of the camera's frames so far, this one included.
        class_names: category id -> name.
        frame_id: optical frame of the camera.
        model: name of the model; empty if it is not known.
    """
    seen = result.instances
    count = len(seen)
    boxes = seen.boxes.astype(np.float32)
    sizes = (boxes[:, 2:] - boxes[:, :2]).tolist()
    masks = seen.masks.to_rle().counts if seen.masks is not None else (b"",) * count
    velocities = [(nan, nan)] * count if result.velocities is None else result.velocities.tolist()
    rows = zip(
        result.track_ids.tolist(),
        result.ages_ns.tolist(),
        seen.category_ids.tolist(),
        result.states.tolist(),
        seen.scores.tolist(),
        boxes[:, :2].tolist(),
        sizes,
        velocities,
        masks,
        strict=True,
    )
    instances = [
        InstanceMessage(
            track_id=track_id,
            age_ns=max(age_ns, 0),
            category_id=category_id,
            state=state,
            score=score,
            x=x,
            y=y,
            width=width,
            height=height,
            velocity_x=velocity[0],
            velocity_y=velocity[1],
            category=class_names.get(category_id, ""),
            mask=mask,
        )
        for track_id, age_ns, category_id, state, score, (x, y), (width, height), velocity, mask in rows
    ]
    if result.distances is not None:
        _add_distances(instances, result.distances)
    height, width = seen.image_size
    return InstanceArray(
        stamp_ns=result.timestamp_ns,
        frame_id=frame_id,
        camera=result.camera,
        model=model,
        sequence=result.frame_index,
        epoch=result.epoch,
        height=height,
        width=width,
        captured=account.captured,
        stored=account.stored,
        dropped=[FrameCount(reason, number) for reason, number in sorted(account.dropped.items())],
        failed=[FrameCount(reason, number) for reason, number in sorted(account.failed.items())],
        instances=instances,
        lost=[] if result.lost is None else _lost(result.lost, class_names),
    )


def _add_distances(instances: Sequence[InstanceMessage], distances: Distances) -> None:
    for row, instance in enumerate(instances):
        instance.range_reason = _RANGE_REASONS.get(
            DistanceReason(int(distances.reasons[row])), RangeReason.NOT_ESTIMATED
        )
        instance.in_path = _IN_PATH.get(int(distances.in_path[row]), PATH_UNKNOWN)
        instance.distance = float(distances.metres[row])
        instance.distance_sigma = float(distances.metres_sigma[row])
        for name in ("lateral", "closing_speed", "time_to_contact"):
            setattr(instance, name, float(getattr(distances, name)[row]))
            setattr(instance, f"{name}_sigma", float(getattr(distances, f"{name}_sigma")[row]))


def _lost(lost: LostTracks, class_names: Mapping[int, str]) -> list[LostTrackMessage]:
    rows = zip(
        lost.track_ids.tolist(), lost.lost_ns.tolist(), lost.category_ids.tolist(), lost.boxes.tolist(), strict=True
    )
    return [
        LostTrackMessage(
            track_id, max(unseen_ns, 0), category_id, x1, y1, x2 - x1, y2 - y1, class_names.get(category_id, "")
        )
        for track_id, unseen_ns, category_id, (x1, y1, x2, y2) in rows
    ]
