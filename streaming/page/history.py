"""The last minute of images, bounded in seconds and in bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_LEAST_GAP_MS = 50.0
"""Scrubbing needs no more than 20 images a second."""


@dataclass(frozen=True)
class KeptImage:
    """A published image in the form it travels in."""

    key: int
    """Unlike that of any other image of this server; grows."""
    number: int
    """How many images its camera had published before it."""
    camera: str
    captured_ms: float
    """When it was captured, on the server's own clock, which no change of the wall clock moves."""
    at_ms: float
    """When it was published, on the server's own clock."""
    message: bytes
    """What a client gets, see wire.py."""


class History:
    """Images to scrub through.

    Every camera has an equal share of the bytes. Where the last minute does not fit, images are thinned out evenly
    instead of the minute being cut short: of all images of the camera, the one goes whose neighbours are closest in
    time. Not thread-safe; its owner holds a lock.
    """

    def __init__(self, seconds: float, limit_bytes: int) -> None:
        self._span_ms = seconds * 1000
        self._limit = limit_bytes
        self._kept: dict[str, list[KeptImage]] = {}
        self._bytes: dict[str, int] = {}

    @property
    def total_bytes(self) -> int:
        """What all kept images weigh; never more than the limit."""
        return sum(self._bytes.values())

    def add(self, image: KeptImage) -> None:
        """Keeps an image, unless it follows the last one too closely, and lets go of what no longer fits."""
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
        """Lets go of what is older than the span, of every camera: also of one that sends no more."""
        for camera, kept in self._kept.items():
            gone = next((i for i, image in enumerate(kept) if image.at_ms >= now_ms - self._span_ms), len(kept))
            self._bytes[camera] -= sum(len(image.message) for image in kept[:gone])
            del kept[:gone]

    def by_camera(self) -> Iterator[tuple[str, list[KeptImage]]]:
        """Yields every camera's images, oldest first."""
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
            # the oldest and the newest stay as long as there is anything between them
            least = spans.index(min(spans)) + 1 if spans else 0
            self._bytes[camera] -= len(kept.pop(least).message)
