"""Other trackers behind one small interface: boxes, scores and classes in, ids out.

roboflow's trackers (SORT, ByteTrack, OC-SORT, BoT-SORT, C-BIoU) and norfair. They do not know classes, so each class
gets a tracker of its own, as their authors advise. No images are given, so BoT-SORT goes without camera motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances

Settings = Mapping[str, float]
Update = Callable[[Instances], NDArray[np.int64]]
"""Takes the instances of the next frame, returns (N,) ids from 1 up, 0 for none."""

PIP = {
    "trackers": "pip install 'roadmask[peers]'",
    # norfair 2.3 asks for numpy < 2 and rich < 15 but runs with those of roadmask.
    "norfair": "pip install --no-deps 'norfair>=2.3' 'filterpy>=1.4.5'",
}
"""Package -> how to install it beside roadmask."""


@dataclass(frozen=True)
class Peer:
    """A tracker of another library."""

    name: str
    package: str
    """Key of `PIP`."""
    start: Callable[[Settings, float], Update]
    """Settings and frames per second -> a new tracker of one class."""
    grid: Mapping[str, tuple[float, ...]]
    """Settings that are tried when it is tuned."""

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.package) is not None

    def combinations(self) -> Iterator[Settings]:
        """Yields all settings of its grid."""
        for values in product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def of_all_classes(self, settings: Settings, fps: float) -> Update:
        """Returns a tracker that keeps classes apart."""
        trackers: dict[int, Update] = {}
        ids: dict[tuple[int, int], int] = {}

        def update(instances: Instances) -> NDArray[np.int64]:
            found = np.zeros(len(instances), np.int64)
            for label in sorted({*trackers, *instances.category_ids.tolist()}):
                tracker = trackers.setdefault(label, self.start(settings, fps))
                rows = np.flatnonzero(instances.category_ids == label)
                own = tracker(instances[rows]).tolist()
                found[rows] = [ids.setdefault((label, each), len(ids) + 1) if each else 0 for each in own]
            return found

        return update


def _roboflow(name: str) -> Callable[[Settings, float], Update]:
    def start(settings: Settings, fps: float) -> Update:
        import supervision  # noqa: PLC0415 - a peer, rarely installed
        import trackers  # noqa: PLC0415

        fixed = {"enable_cmc": False} if name == "BoTSORTTracker" else {}
        tracker = getattr(trackers, name)(frame_rate=fps, **fixed, **settings)

        def update(instances: Instances) -> NDArray[np.int64]:
            rows = np.arange(len(instances))
            found = tracker.update(
                supervision.Detections(
                    instances.boxes.astype(np.float32), confidence=instances.scores, data={"row": rows}
                )
            )
            ids = np.zeros(len(instances), np.int64)
            if len(found):
                ids[found.data["row"]] = np.asarray(found.tracker_id, np.int64) + 1  # theirs begin at 0, -1 is none
            return ids

        return update

    return start


def _norfair(settings: Settings, fps: float) -> Update:
    norfair: Any = import_module("norfair")

    lost = max(1, round(settings["lost_s"] * fps))
    tracker = norfair.Tracker(
        distance_function="iou",
        distance_threshold=settings["distance_threshold"],
        hit_counter_max=lost,
        initialization_delay=min(int(settings["initialization_delay"]), lost - 1),
    )
    frame = 0

    def update(instances: Instances) -> NDArray[np.int64]:
        nonlocal frame
        frame += 1
        kept = np.flatnonzero(instances.scores >= settings["score_min"])
        given = [norfair.Detection(instances.boxes[n].reshape(2, 2), data=(frame, int(n))) for n in kept]
        ids = np.zeros(len(instances), np.int64)
        for each in tracker.update(given):
            seen, row = each.last_detection.data
            if seen == frame:
                ids[row] = int(each.id)
        return ids

    return update


_CONFIDENT: dict[str, tuple[float, ...]] = {
    "track_activation_threshold": (0.3, 0.5),
    "high_conf_det_threshold": (0.3, 0.5),
    "minimum_consecutive_frames": (1, 2),
}
_FIRST_SECOND: dict[str, tuple[float, ...]] = {
    **_CONFIDENT,
    "minimum_iou_threshold_first_assoc": (0.1, 0.2),
}

PEERS: tuple[Peer, ...] = (
    Peer(
        "SORT",
        "trackers",
        _roboflow("SORTTracker"),
        {
            "track_activation_threshold": (0.3, 0.5),
            "minimum_consecutive_frames": (1, 2),
            "minimum_iou_threshold": (0.1, 0.3),
        },
    ),
    Peer("ByteTrack", "trackers", _roboflow("ByteTrackTracker"), {**_CONFIDENT, "minimum_iou_threshold": (0.05, 0.1)}),
    Peer(
        "OC-SORT",
        "trackers",
        _roboflow("OCSORTTracker"),
        {
            "high_conf_det_threshold": (0.3, 0.5),
            "minimum_consecutive_frames": (1, 2),
            "minimum_iou_threshold": (0.1, 0.3),
        },
    ),
    Peer("BoT-SORT", "trackers", _roboflow("BoTSORTTracker"), _FIRST_SECOND),
    Peer("C-BIoU", "trackers", _roboflow("CBIoUTracker"), _FIRST_SECOND),
    Peer(
        "norfair",
        "norfair",
        _norfair,
        {
            "distance_threshold": (0.7, 0.9),
            "initialization_delay": (0, 1),
            "score_min": (0.3, 0.5),
            "lost_s": (0.5, 1.0),
        },
    ),
)

DEFAULTS: Mapping[str, Settings] = {
    "norfair": {"distance_threshold": 0.7, "initialization_delay": 1, "score_min": 0.5, "lost_s": 1.0}
}
"""Settings where none were tuned; the others have their own."""


def installed_peers() -> tuple[list[Peer], list[str]]:
    """Returns the peers that are installed, and a sentence for each package that is not."""
    missing = dict.fromkeys(peer.package for peer in PEERS if not peer.installed)
    told = [
        f"left out {', '.join(peer.name for peer in PEERS if peer.package == package)}: {PIP[package]}"
        for package in missing
    ]
    return [peer for peer in PEERS if peer.installed], told
