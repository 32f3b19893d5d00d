"""A live run in a thread, and everything that it says of itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadmask.engines import Segmenter
from roadmask.streaming.live.reports import (
    Ages,
    Callbacks,
    CameraReport,
    CameraState,
    LiveImage,
    LiveReport,
    LiveViewer,
)
from roadmask.streaming.live.run import LiveResult, LiveRun
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.sources.live.address import Address

_SHOWN = 20_000
"""Maximum number of images that are remembered: minutes of many cameras."""


@dataclass(frozen=True)
class Shown:
    """An image that reached the viewer."""

    camera: str
    """Name of the camera."""
    captured_ns: int
    """Capture time on the monotonic clock, nanoseconds."""
    shown_ns: int
    """When it arrived here, on the monotonic clock."""

    @property
    def age_ms(self) -> float:
        """Age of the image when it arrived, milliseconds."""
        return (self.shown_ns - self.captured_ns) / 1e6


class ObservedRun:
    """Runs live cameras in a thread and remembers what they show and report; a page gets it, too. A context manager.

    Raises:
        Whatever the run raises, where it is left.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        out: Path | None = None,
        settings: LiveSettings | None = None,
        builds: Sequence[Callable[[], Segmenter]] | None = None,
        page: LiveViewer | None = None,
        *,
        show: bool = True,
    ) -> None:
        self._page = page or Callbacks()
        self.shown: deque[Shown] = deque(maxlen=_SHOWN)
        self.images: dict[str, LiveImage] = {}
        self.reports: deque[LiveReport] = deque(maxlen=1)
        """The newest report: a long run makes thousands."""
        self.reported = 0
        """Number of reports so far."""
        self.unbalanced: list[CameraReport] = []
        """Reports whose ledger did not add up."""
        self.result: LiveResult | None = None
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self.run = LiveRun(addresses, out, settings, self, builds=builds, stop=self._stop, show=show)
        self._thread = threading.Thread(target=self._run, name="live-run")

    def publish(self, image: LiveImage) -> None:
        """Takes an image."""
        self._page.publish(image)
        self.images[image.camera] = image
        self.shown.append(Shown(image.camera, image.monotonic_ns, time.monotonic_ns()))

    def report(self, report: LiveReport) -> None:
        """Takes a report."""
        self._page.report(report)
        self.unbalanced += [camera for camera in report.cameras if not adds_up(camera)]
        self.reports.append(report)
        self.reported += 1

    def page_ages(self, camera: str) -> Ages | None:
        """Returns the ages of a camera's images on the page."""
        return self._page.page_ages(camera)

    def camera(self, name: str) -> CameraReport | None:
        """Returns the newest report of a camera."""
        if not self.reports:
            return None
        return next((each for each in self.reports[-1].cameras if each.camera == name), None)

    def until(self, true: Callable[[], bool], timeout_s: float, what: str) -> float:
        """Waits; returns how long it took, in seconds.

        Raises:
            TimeoutError: it did not come true in time, or the run ended before.
        """
        start_s = time.monotonic()
        while not true():
            if time.monotonic() - start_s > timeout_s or not self._thread.is_alive():
                last = self.reports[-1] if self.reports else None
                raise TimeoutError(f"waited {time.monotonic() - start_s:.1f} s for {what}; {self._error!r}; {last}")
            time.sleep(0.02)
        return time.monotonic() - start_s

    def live(self, *cameras: str) -> bool:
        """Returns whether cameras are live and their masks arrive."""
        return all(
            (seen := self.camera(name)) is not None and seen.state is CameraState.LIVE and name in self.images
            for name in cameras
        )

    def fresh(self, camera: str, since_ns: int) -> bool:
        """Returns whether an image arrived that was captured after a moment of the monotonic clock."""
        image = self.images.get(camera)
        return image is not None and image.monotonic_ns > since_ns

    def stop(self) -> LiveResult:
        """Ends the run and returns what became of it."""
        self._stop.set()
        return self.join()

    def join(self) -> LiveResult:
        """Waits for the run to end by itself."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self.result is None:
            raise RuntimeError("the run gave no result")
        return self.result

    def _run(self) -> None:
        try:
            self.result = self.run.run()
        except BaseException as error:  # raised where the run is left
            self._error = error

    def __enter__(self) -> ObservedRun:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error


def adds_up(camera: CameraReport) -> bool:
    """Whether every captured frame is in exactly one column."""
    return camera.ledger.missing == 0
