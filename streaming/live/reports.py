"""What a live run says of itself: the images it shows, the state of its cameras, and who takes them.

The run publishes, the page and the metrics read. Nothing here knows Ray, a store or a web server. No text in here may
hold credentials: whoever fills it redacts the source's address first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.ledger import WATCHED
from roadmask.streaming.sources.live.protocol import CameraState

__all__ = ["Ages", "Callbacks", "CameraReport", "CameraState", "LiveImage", "LiveReport", "LiveViewer", "ShownInstance"]


@dataclass(frozen=True)
class Ages:
    """How old frames were when a stage had finished with them: percentiles of the last minute."""

    p50_ms: float
    """Median age in milliseconds."""
    p95_ms: float
    """95th percentile in milliseconds."""
    p99_ms: float
    """99th percentile in milliseconds."""


@dataclass(frozen=True)
class CameraReport:
    """A camera at one moment."""

    camera: str
    """Name of the camera."""
    state: CameraState
    """Whether frames arrive."""
    detail: str = ""
    """One sentence for people: why the camera is in this state. Without credentials."""
    epoch: int = 0
    """Epoch of the newest image."""
    size: tuple[int, int] | None = None
    """Height and width of the newest image in pixels; None before the first."""
    ledger: Ledger = field(default_factory=Ledger)
    """Where every captured frame is. At any moment captured = stored + dropped + failed + in flight; frames that were
    tracked and shown, but not stored, are dropped with the reason `watched`."""
    captured_fps: float = 0.0
    """Frames captured per second."""
    segmented_fps: float = 0.0
    """Frames segmented per second."""
    reconnects: int = 0
    """Connections after the first one."""
    image_age_ms: float | None = None
    """Age of the newest image captured, milliseconds; None before the first."""
    masks_age_ms: float | None = None
    """Age of the newest image that has its masks, milliseconds; None before the first."""
    ages: dict[str, Ages] = field(default_factory=dict)
    """Ages by stage, in order: decode, queue, engine, track, store, page."""
    counts: dict[str, int] = field(default_factory=dict)
    """Confirmed tracks in the newest image, by class name."""
    limit_fps: float | None = None
    """Maximum number of images per second that are offered to the engine; None means no limit."""
    limit_changes: int = 0
    """How often that limit changed."""

    @property
    def watched(self) -> int:
        """Frames that were tracked and shown, but not stored: there is no store, or storing stopped."""
        return self.ledger.dropped.get(WATCHED, 0)

    @property
    def dropped(self) -> dict[str, int]:
        """Frames dropped before they had masks, by reason: without those that were only watched."""
        return {reason: frames for reason, frames in self.ledger.dropped.items() if reason != WATCHED}


@dataclass(frozen=True)
class LiveReport:
    """The whole run at one moment."""

    now_ns: int
    """Wall clock, nanoseconds since 1970."""
    uptime_s: float
    """Seconds since the run began."""
    cameras: tuple[CameraReport, ...]
    """The cameras, in the order in which they were named."""
    storing: bool
    """Whether frames are stored; False where no store was asked for, or storing stopped."""
    store_detail: str = ""
    """Where frames are stored, or why they are not."""
    budget_ms: float | None = None
    """Latency budget in milliseconds; None before it is known."""
    input_size: str | None = None
    """Network input size, HxW, where it follows the load, "full" for the usual one; None where it does not follow."""
    input_size_changes: int = 0
    """How often the network input size changed."""


@dataclass(frozen=True)
class ShownInstance:
    """An instance in an image that is shown, for pointing at it."""

    track_id: int
    """Id of its track."""
    label: str
    """Name of its class."""
    score: float
    """Confidence, 0 to 1."""
    box: tuple[float, float, float, float]
    """Box as x1, y1, x2, y2 in pixels of the JPEG."""


@dataclass(frozen=True)
class LiveImage:
    """An image with its masks drawn in, as the page shows it."""

    camera: str
    """Name of the camera."""
    epoch: int
    """Epoch of the frame."""
    frame_index: int
    """Capture count of the camera from 0."""
    captured_ns: int
    """Capture time on the wall clock, nanoseconds since 1970."""
    monotonic_ns: int
    """Capture time on this machine's monotonic clock, nanoseconds; ages are measured on it."""
    jpeg: bytes
    """The encoded image."""
    size: tuple[int, int]
    """Height and width of the JPEG in pixels."""
    instances: tuple[ShownInstance, ...] = ()
    """The confirmed tracks in the image."""


class LiveViewer(Protocol):
    """Takes what a live run shows. Every method is called from any thread and must return at once."""

    def publish(self, image: LiveImage) -> None:
        """Takes the newest image of a camera."""

    def report(self, report: LiveReport) -> None:
        """Takes the newest state of the run."""

    def page_ages(self, camera: str) -> Ages | None:
        """Returns how old a camera's images were when people saw them; None if nobody watches."""


@dataclass(frozen=True)
class Callbacks:
    """A viewer made of functions, which may also hand everything on to another viewer."""

    on_report: Callable[[LiveReport], None] | None = None
    """Called with each report, twice a second."""
    on_image: Callable[[LiveImage], None] | None = None
    """Called with each image that is shown."""
    viewer: LiveViewer | None = None
    """Another viewer, such as a page, that gets everything, too."""

    def publish(self, image: LiveImage) -> None:
        """Hands an image on."""
        if self.viewer is not None:
            self.viewer.publish(image)
        if self.on_image is not None:
            self.on_image(image)

    def report(self, report: LiveReport) -> None:
        """Hands a report on."""
        if self.viewer is not None:
            self.viewer.report(report)
        if self.on_report is not None:
            self.on_report(report)

    def page_ages(self, camera: str) -> Ages | None:
        """Returns what the other viewer says; None without one."""
        return None if self.viewer is None else self.viewer.page_ages(camera)
