"""What the run has published, shared by the threads of the run and of the server.

Nothing here waits for a browser: a client looks at the newest image when it is ready for one, so there is no queue
that could grow.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from roadmask.streaming.live.reports import Ages, LiveImage, LiveReport
from roadmask.streaming.page.history import History, KeptImage, TrackLog
from roadmask.streaming.page.wire import image_message, report_fields, to_json

_MOST_AGES = 4096
"""Maximum number of ages kept for a camera: a minute of 30 images per second, drawn by two clients."""


@dataclass(frozen=True)
class PageLimits:
    """How much the page keeps and how late the run may be."""

    history_seconds: float = 60.0
    """Seconds of images that are kept."""
    history_bytes: int = 128 * 2**20
    """Maximum size of the kept images of all cameras together, bytes."""
    clients: int = 64
    """Maximum number of browsers served at once; further ones are refused."""
    connections: int = 256
    """Maximum number of open connections, whoever opened them; further ones are closed at once, so that nobody can use
    up the files that the process of the run may open."""
    report_deadline_s: float = 5.0
    """Seconds without a report after which the run is not healthy."""
    masks_deadline_s: float = 2.0
    """Age in seconds above which the newest masks of a camera are not fresh; three latency budgets if that is more."""


class Feed:
    """The newest image of every camera, the last minute, and the last report. Thread-safe."""

    def __init__(self, limits: PageLimits) -> None:
        self.limits = limits
        self.sent: Counter[str] = Counter()
        """Images sent to clients, by camera; only the thread of the server writes it."""
        self.skipped: Counter[str] = Counter()
        """Images that a client did not get because a newer one came first; only the thread of the server writes it."""
        self._lock = threading.Lock()
        self._start_ns = time.monotonic_ns()
        self._keys = count(1)
        self._newest: dict[str, KeptImage] = {}
        self._published: Counter[str] = Counter()
        self._history = History(limits.history_seconds, limits.history_bytes)
        self._tracks: dict[str, TrackLog] = {}
        self._ages: dict[str, deque[tuple[float, float]]] = {}
        self._report: LiveReport | None = None
        self._reported_ms = 0.0

    def now_ms(self) -> float:
        """Returns the server's own clock: milliseconds since the feed began, which never jumps."""
        return (time.monotonic_ns() - self._start_ns) / 1e6

    def publish(self, image: LiveImage) -> None:
        """Makes an image the newest of its camera."""
        key, at_ms = next(self._keys), self.now_ms()
        captured_ms = (image.monotonic_ns - self._start_ns) / 1e6
        message = image_message(
            image, key, at_ms, captured_ms, image.captured_ns / 1e6
        )  # outside the lock: it copies the JPEG
        with self._lock:
            number = self._published[image.camera]
            kept = KeptImage(key, number, image.camera, captured_ms, at_ms, message)
            self._published[image.camera] += 1
            self._newest[image.camera] = kept
            self._history.add(kept)
            log = self._tracks.setdefault(image.camera, TrackLog(self.limits.history_seconds))
            log.see(at_ms, image.instances)

    def report(self, report: LiveReport) -> None:
        """Makes a report the newest one."""
        with self._lock:
            self._report, self._reported_ms = report, self.now_ms()

    def last_report(self) -> tuple[LiveReport | None, float]:
        """Returns the newest report and its age in seconds; before the first, None and the age of the feed."""
        with self._lock:
            return self._report, (self.now_ms() - self._reported_ms) / 1000

    def newest(self) -> list[KeptImage]:
        """Returns the newest image of every camera."""
        with self._lock:
            return list(self._newest.values())

    def published(self) -> dict[str, int]:
        """Returns how many images each camera has published."""
        with self._lock:
            return dict(self._published)

    def drawn(self, camera: str, captured_ms: float) -> None:
        """Notes that a browser has drawn an image: its age now, by our clock, is that of the stage `page`."""
        now_ms = self.now_ms()
        age_ms = max(now_ms - captured_ms, 0.0)
        with self._lock:
            self._ages.setdefault(camera, deque(maxlen=_MOST_AGES)).append((now_ms, age_ms))

    def page_ages(self, camera: str) -> Ages | None:
        """Returns the ages of a camera's images when browsers had drawn them; None if none did in the last minute."""
        oldest = self.now_ms() - 60_000
        with self._lock:
            ages = [age for at, age in self._ages.get(camera, ()) if at >= oldest]
        if not ages:
            return None
        p50, p95, p99 = np.percentile(ages, (50, 95, 99))
        return Ages(float(p50), float(p95), float(p99))

    def find(self, key: int) -> KeptImage | None:
        """Returns a kept image by its key; None if it is no longer kept."""
        with self._lock:
            return self._history.find(key)

    def history_index(self) -> dict[str, Any]:
        """Returns keys and times of all kept images, by camera, oldest first."""
        now_ms = self.now_ms()
        with self._lock:
            self._history.expire(now_ms)
            cameras = {
                camera: [[image.key, round(image.at_ms)] for image in kept]
                for camera, kept in self._history.by_camera()
            }
        return {"now": round(now_ms), "seconds": self.limits.history_seconds, "cameras": cameras}

    def history_bytes(self) -> int:
        """Returns the size of the kept images in bytes."""
        with self._lock:
            self._history.expire(self.now_ms())
            return self._history.total_bytes

    def status(self) -> str:
        """Returns the message that tells a page everything except images."""
        report, report_age_s = self.last_report()
        now_ms = self.now_ms()
        with self._lock:
            self._history.expire(now_ms)
            tracks = {camera: log.rows(now_ms) for camera, log in self._tracks.items()}
        fields = {
            "type": "status",
            "at": now_ms,
            "report": None if report is None else report_fields(report),
            "report_age_s": round(report_age_s, 2),
            "report_late": report_age_s > self.limits.report_deadline_s,
            "tracks": tracks,
        }
        return to_json(fields)
