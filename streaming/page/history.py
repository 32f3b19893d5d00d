"""The last minute: its images, limited in seconds and in bytes, and when each track was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from roadmask.streaming.live.reports import ShownInstance
from roadmask.streaming.sinks.drawing import track_colour

_LEAST_GAP_MS = 50.0
"""Shortest time between two kept images, milliseconds: looking back needs no more than 20 per second."""
_BREAK_MS = 1500.0
"""Milliseconds unseen after which a track counts as away; a camera that is slower than this shows as dashes."""
_MOST_ROWS = 200


@dataclass(frozen=True)
class KeptImage:
    """A published image in the form in which it is sent."""

    key: int
    """Key of the image, unique in this server and increasing."""
    number: int
    """Number of images that the camera had published before this one."""
    camera: str
    """Name of the camera."""
    captured_ms: float
    """Capture time on the server's own clock, milliseconds; setting the wall clock does not move it."""
    at_ms: float
    """Time of publication on the server's own clock, milliseconds."""
    message: bytes
    """What a client receives, see wire.py."""


class History:
    """Images to look back through.

    Every camera has an equal share of the bytes. If the last minute does not fit, images are thinned out evenly instead
    of shortening it: the image whose neighbours are closest in time is removed. Not thread-safe; its owner holds a
    lock.
    """

    def __init__(self, seconds: float, limit_bytes: int) -> None:
        self._span_ms = seconds * 1000
        self._limit = limit_bytes
        self._kept: dict[str, list[KeptImage]] = {}
        self._bytes: dict[str, int] = {}

    @property
    def total_bytes(self) -> int:
        """Size of all kept images in bytes; never above the limit."""
        return sum(self._bytes.values())

    def add(self, image: KeptImage) -> None:
        """Keeps an image, unless it follows the previous one too closely, and removes what no longer fits."""
        kept = self._kept.setdefault(image.camera, [])
        self._bytes.setdefault(image.camera, 0)
        self.expire(image.at_ms)
        if kept and image.at_ms - kept[-1].at_ms < _LEAST_GAP_MS:
            return
        kept.append(image)
        self._bytes[image.camera] += len(image.message)
        for camera in self._kept:  # a new camera shrinks the share of the others
            self._thin(camera)

    def expire(self, now_ms: float) -> None:
        """Removes what is too old, of every camera: also of one that no longer sends."""
        for camera, kept in self._kept.items():
            gone = next((i for i, image in enumerate(kept) if image.at_ms >= now_ms - self._span_ms), len(kept))
            self._bytes[camera] -= sum(len(image.message) for image in kept[:gone])
            del kept[:gone]

    def by_camera(self) -> Iterator[tuple[str, list[KeptImage]]]:
        """Yields the images of each camera, oldest first."""
        for camera, kept in self._kept.items():
            yield camera, list(kept)

    def find(self, key: int) -> KeptImage | None:
        """Returns an image by its key; None if it is no longer kept."""
        return next((image for kept in self._kept.values() for image in kept if image.key == key), None)

    def _thin(self, camera: str) -> None:
        kept, share = self._kept[camera], self._limit // len(self._kept)
        while kept and self._bytes[camera] > share:
            gaps = [later.at_ms - earlier.at_ms for earlier, later in pairwise(kept)]
            spans = [one + two for one, two in pairwise(gaps)]
            # the oldest and the newest stay as long as there is any between them
            least = spans.index(min(spans)) + 1 if spans else 0
            self._bytes[camera] -= len(kept.pop(least).message)


@dataclass
class _Row:
    label: str
    spans: list[list[float]] = field(default_factory=list)
    """[first seen, last seen] on the server's own clock, ms, oldest first."""


class TrackLog:
    """The tracks of one camera. Not thread-safe; its owner holds a lock."""

    def __init__(self, seconds: float) -> None:
        self._span_ms = seconds * 1000
        self._rows: dict[int, _Row] = {}

    def see(self, at_ms: float, instances: Iterable[ShownInstance]) -> None:
        """Notes which tracks an image shows."""
        for instance in instances:
            if instance.track_id <= 0:  # seen, but not yet a track
                continue
            row = self._rows.setdefault(instance.track_id, _Row(instance.label))
            row.label = instance.label
            if row.spans and at_ms - row.spans[-1][1] <= _BREAK_MS:
                row.spans[-1][1] = at_ms
            else:
                row.spans.append([at_ms, at_ms])
        self._expire(at_ms)

    def rows(self, now_ms: float) -> list[dict[str, object]]:
        """Returns the tracks of the last minute in order of appearance."""
        self._expire(now_ms)
        return [
            {
                "id": track_id,
                "label": row.label,
                "colour": "#{:02x}{:02x}{:02x}".format(*track_colour(track_id)),
                "spans": [[round(first), round(last)] for first, last in row.spans],
            }
            for track_id, row in self._rows.items()
        ]

    def _expire(self, now_ms: float) -> None:
        oldest = now_ms - self._span_ms
        for track_id, row in list(self._rows.items()):
            row.spans = [span for span in row.spans if span[1] >= oldest]
            if not row.spans:
                del self._rows[track_id]
        while len(self._rows) > _MOST_ROWS:
            del self._rows[min(self._rows, key=lambda track_id: self._rows[track_id].spans[-1][1])]
