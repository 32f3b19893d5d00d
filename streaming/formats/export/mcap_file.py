"""An MCAP file of ROS 2 messages: instances with masks, boxes, and annotations that Foxglove draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.messages.convert import FrameAccount, FrameResult, instance_array
from roadmask.streaming.messages.track_bag import TrackBag
from roadmask.streaming.sinks.bag import topic_names
from roadmask.streaming.store import CameraReader

_UNKNOWN = "unknown"
"""Reason of lost frames where a store has several reasons and does not say which frame had which."""


def write(job: ExportJob, path: Path) -> None:
    """Writes the topics of `TrackBag` for every camera, one camera after the other.

    Stamps are the timestamps of the store. A store keeps neither velocities nor lost tracks: velocities are NaN, and
    `lost` is empty. Ages count from the first stored frame of a track.
    """
    sources = job.drive.attributes.get("sources", {})
    model = str(job.drive.attributes.get("engine", {}).get("weights", ""))
    with TrackBag(path) as bag:
        for camera in job.cameras:
            namespace, frame_id = topic_names(camera.name, sources.get(camera.name, {}))
            account, lost, kind = FrameAccount(stored=camera.removed), 0, _lost_kind(camera)
            first: dict[int, int] = {}
            for frame in job.frames_of(camera):
                account.stored += 1
                lost = frame.frame_index + 1 - account.stored
                if lost > 0:
                    counts = account.dropped if kind[0] == "dropped" else account.failed
                    counts[kind[1]] = lost
                for track_id in frame.track_ids.tolist():
                    first.setdefault(track_id, frame.timestamp_ns)
                ages = [frame.timestamp_ns - first[each] if each else 0 for each in frame.track_ids.tolist()]
                result = FrameResult(
                    camera.name,
                    frame.frame_index,
                    frame.timestamp_ns,
                    frame.epoch,
                    frame.instances,
                    frame.track_ids,
                    frame.states,
                    np.array(ages, np.int64),
                    distances=frame.distances,
                )
                bag.write(
                    namespace, instance_array(result, account, camera.class_names, frame_id=frame_id, model=model)
                )


def _lost_kind(camera: CameraReader) -> tuple[str, str]:
    """Returns outcome and reason of a camera's lost frames: the only one in its ledger, or failed and unknown."""
    ledger = camera.ledger
    kinds = [("dropped", reason) for reason in ledger.dropped] + [("failed", reason) for reason in ledger.failed]
    return kinds[0] if len(kinds) == 1 else ("failed", _UNKNOWN)
