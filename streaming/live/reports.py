"""What a live run says of itself: the images it shows and the state of its cameras.

The run publishes, the page and the metrics read. Nothing here knows Ray, a store or a web server. No text in here may
hold credentials: whoever fills it redacts the source's address first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class CameraState(StrEnum):
    """Where a camera is between its first connection and its end."""

    CONNECTING = "connecting"
    """Opened, no frame yet."""
    LIVE = "live"
    """Frames arrive in time."""
    STALLED = "stalled"
    """Connected, but no frame for longer than the source's deadline."""
    RECONNECTING = "reconnecting"
    """The stream was lost; the next attempt waits for its turn."""
    REFUSED = "refused"
    """The other side refused us (login, unknown path); tried again, but rarely."""
    ENDED = "ended"
    """The source came to its end, as a replayed file does."""
    FAILED = "failed"
    """Given up: the source can never work (unknown codec, missing file)."""


@dataclass(frozen=True)
class Ages:
    """How old frames were when a stage had finished with them, over the last minute."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class CameraReport:
    """A camera at one moment. At any moment captured = stored + watched + sum(dropped) + sum(failed) + in_flight."""

    camera: str
    state: CameraState
    detail: str = ""
    """One sentence for people: why it is in this state. Without credentials."""
    epoch: int = 0
    size: tuple[int, int] | None = None
    """(height, width) of the images as they arrive."""
    captured: int = 0
    stored: int = 0
    watched: int = 0
    """Segmented and shown, but not stored: storing is off or was stopped below the floor of free disk."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames dropped, by reason."""
    failed: dict[str, int] = field(default_factory=dict)
    """Frames failed, by reason."""
    in_flight: int = 0
    """Captured and not yet decided."""
    captured_fps: float = 0.0
    segmented_fps: float = 0.0
    reconnects: int = 0
    image_age_ms: float | None = None
    """Age of the newest image captured; None before the first."""
    masks_age_ms: float | None = None
    """Age of the newest image that has its masks; None before the first."""
    ages: dict[str, Ages] = field(default_factory=dict)
    """By stage, in order: decode, queue, engine, track, store, page."""
    counts: dict[str, int] = field(default_factory=dict)
    """Confirmed tracks in the newest image, by class name."""
    limit_fps: float | None = None
    """Images a second that are offered to the engine at most; None: all there are."""
    limit_changes: int = 0
    """How often that changed."""


@dataclass(frozen=True)
class LiveReport:
    """The whole run at one moment."""

    now_ns: int
    """Wall clock, nanoseconds since 1970."""
    uptime_s: float
    cameras: tuple[CameraReport, ...]
    storing: bool
    """False where no store was asked for, or storing stopped."""
    store_detail: str = ""
    """Where it stores to, or why it does not."""
    budget_ms: float | None = None
    """The latency budget; None before it is known."""
    input_size: str | None = None
    """HxW of the network's input where that follows the load, "full" for the usual one; None where it does not."""
    input_size_changes: int = 0
    """How often that changed."""


@dataclass(frozen=True)
class ShownInstance:
    """An instance in an image that is shown, for pointing at it."""

    track_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    """xyxy, pixels of the JPEG."""


@dataclass(frozen=True)
class LiveImage:
    """An image with its masks drawn in, as the page shows it."""

    camera: str
    epoch: int
    frame_index: int
    captured_ns: int
    """Wall clock of the capture, nanoseconds since 1970."""
    jpeg: bytes
    size: tuple[int, int]
    """(height, width) of the JPEG."""
    instances: tuple[ShownInstance, ...] = ()
