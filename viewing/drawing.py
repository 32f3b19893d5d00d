"""Draws the stored frames of one camera as the live page shows them.

Everything except images and run lengths is held in memory, about 50 bytes for each instance, so that a frame takes one
read from the store: its run lengths, which lie in one file, or in two where a file ends.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.streaming.frames import Frame
from roadmask.streaming.live.jpeg_sink import shown_image
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.store import CameraReader
from roadmask.streaming.store.epoch_reader import EpochReader
from roadmask.tracking import Tracks
from roadmask.viewing.images import CameraImages

WIDTH_MAX = 1280
"""Width in pixels above which images are scaled down."""
GREY = (74, 79, 86)
"""Colour behind the masks where there is no image."""
_TRAIL_NS = 1_000_000_000
"""Length of trails in nanoseconds."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """The rows of one epoch that stay in memory."""

    reader: EpochReader
    frame_index: NDArray[np.int64]
    timestamp_ns: NDArray[np.int64]
    offsets: NDArray[np.int64]
    rle_offsets: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    category_ids: NDArray[np.int64]
    track_ids: NDArray[np.int64]

    @classmethod
    def read(cls, epoch: EpochReader) -> _Columns:
        return cls(
            epoch,
            epoch.frame_index,
            epoch.timestamp_ns,
            epoch.offsets,
            epoch.rle_offsets,
            epoch.read("instances/box"),
            epoch.read("instances/score"),
            epoch.category_id,
            epoch.track_id,
        )

    def tracks(self, at: int) -> Tracks:
        """Returns the tracks of a frame; every stored track is shown as a confirmed one."""
        start, stop = int(self.offsets[at]), int(self.offsets[at + 1])
        edges = self.rle_offsets[start : stop + 1].tolist()
        data = self.reader.read("instances/rle", edges[0], edges[-1]).tobytes()
        size = self.reader.info.image_size
        masks = RleMasks(tuple(data[a - edges[0] : b - edges[0]] for a, b in pairwise(edges)), size)
        rows = slice(start, stop)
        instances = Instances(size, self.boxes[rows], self.scores[rows], self.category_ids[rows], masks)
        return Tracks.from_ids(instances, self.track_ids[rows])

    def trails(self, at: int) -> dict[int, list[tuple[float, float]]]:
        """Returns the bottom centres of the boxes of the last second, by track."""
        first = int(np.searchsorted(self.timestamp_ns, self.timestamp_ns[at] - _TRAIL_NS))
        rows = slice(int(self.offsets[first]), int(self.offsets[at + 1]))
        points: dict[int, list[tuple[float, float]]] = {}
        for track_id, box in zip(self.track_ids[rows].tolist(), self.boxes[rows].tolist(), strict=True):
            if track_id:
                points.setdefault(track_id, []).append(((box[0] + box[2]) / 2, box[3]))
        return points


class CameraDrawer:
    """Draws any frame of a camera. Thread-safe: one frame is drawn at a time.

    Args:
        camera: the camera.
        images: its images.
    """

    def __init__(self, camera: CameraReader, images: CameraImages) -> None:
        self.name = camera.name
        self.images = images
        self._class_names = camera.class_names
        self._epochs = [_Columns.read(epoch) for epoch in camera.epochs]
        self._edges = [0, *accumulate(len(epoch) for epoch in camera.epochs)]
        self._lock = threading.Lock()

    def draw(self, position: int, track_ids: NDArray[np.int64] | None = None) -> LiveImage:
        """Returns the frame at a position with its masks drawn in.

        Args:
            position: position among the stored frames of the camera.
            track_ids: ids of the only tracks to draw; None draws everything, also instances without a track.

        Raises:
            StoreCorruptError: its masks cannot be read back.
        """
        number = bisect_right(self._edges, position) - 1
        epoch, at = self._epochs[number], position - self._edges[number]
        info, frame_index = epoch.reader.info, int(epoch.frame_index[at])
        with self._lock:
            tracks = epoch.tracks(at)
            image = self.images.image_at(frame_index, info.image_size)
        if track_ids is not None:
            tracks = tracks[np.isin(tracks.track_ids, track_ids)]
        if image is None:
            image = np.full((*info.image_size, 3), GREY, np.uint8)
        frame = Frame(self.name, info.epoch, frame_index, int(epoch.timestamp_ns[at]), info.clock, image)
        shown = shown_image(frame, tracks, self._class_names, epoch.trails(at), WIDTH_MAX)
        return replace(shown, monotonic_ns=0)
