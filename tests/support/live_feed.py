"""A live run that is made up: images of boxes that move, each with its time of capture drawn in as a barcode."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.reports import Ages, CameraReport, CameraState, LiveImage, LiveReport, ShownInstance
from roadmask.streaming.sinks.drawing import track_colour

SIZE = (270, 480)
BAR = 10
"""Width and height of a bar, pixels: JPEG blurs thinner ones."""
BITS = 44
"""Milliseconds since 1970 fit into 41 bits until 2039; four bits of checksum follow."""
STAGES = ("decode", "queue", "engine", "track", "store", "page")


class Page(Protocol):
    """What a run publishes to."""

    def publish(self, image: LiveImage) -> None: ...

    def report(self, report: LiveReport) -> None: ...

    def page_ages(self, camera: str) -> Ages | None: ...


@dataclass(frozen=True)
class Moving:
    """Something that drives from left to right, and begins again at the left."""

    track_id: int
    label: str = "car"
    top: float = 60.0
    size: tuple[float, float] = (40.0, 80.0)
    """Height and width."""
    pixels_per_second: float = 40.0

    def at(self, seconds: float) -> ShownInstance:
        height, width = self.size
        left = (20 + seconds * self.pixels_per_second) % (SIZE[1] - width)
        return ShownInstance(self.track_id, self.label, 0.9, (left, self.top, left + width, self.top + height))


SCENE = (Moving(1), Moving(2, "person", 110, (70, 30), 15), Moving(3, "car", 190, (50, 100), 60))


def image_of(
    camera: str = "front",
    frame_index: int = 0,
    captured_ns: int | None = None,
    scene: tuple[Moving, ...] = SCENE,
    *,
    age_ms: float = 0.0,
) -> LiveImage:
    """Returns a synthetic image, captured so long ago; `captured_ns` is what the wall clock, which may lie, said."""
    monotonic_ns = time.monotonic_ns() - round(age_ms * 1e6)
    captured_ns = time.time_ns() - round(age_ms * 1e6) if captured_ns is None else captured_ns
    canvas = np.full((*SIZE, 3), (50, 54, 60), np.uint8)
    canvas[:, frame_index * 4 % SIZE[1] :][:, :3] = (110, 114, 120)
    instances = tuple(moving.at(captured_ns % 10**12 / 1e9) for moving in scene)
    for instance in instances:
        left, top, right, bottom = map(round, instance.box)
        canvas[top:bottom, left:right] = track_colour(instance.track_id)
    draw_barcode(canvas, captured_ns // 1_000_000)
    _, jpeg = cv2.imencode(".jpg", canvas[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return LiveImage(camera, 0, frame_index, captured_ns, monotonic_ns, jpeg.tobytes(), SIZE, instances)


def draw_barcode(canvas: np.ndarray, value: int) -> None:
    """Draws a number into the lower left corner, white for 1, most significant bit first."""
    code = value << 4 | checksum(value)
    width = BITS + 4
    for bit in range(width):
        left = bit * BAR
        canvas[-BAR:, left : left + BAR] = 255 if code >> (width - 1 - bit) & 1 else 0


def checksum(value: int) -> int:
    return sum(value >> shift & 15 for shift in range(0, BITS, 4)) & 15


def read_barcode(levels: list[float]) -> int:
    """Returns the number whose bars have these grey levels; a damaged code is an AssertionError."""
    code = sum((level > 127) << position for position, level in enumerate(reversed(levels)))
    assert len(levels) == BITS + 4
    assert checksum(code >> 4) == code & 15, levels
    return code >> 4


def camera_report(camera: str = "front", **changed: object) -> CameraReport:
    """Returns a camera that does well."""
    report = CameraReport(
        camera,
        CameraState.LIVE,
        size=SIZE,
        ledger=Ledger(1000, 960, {"newer frame waiting": 25, "queue full": 5}, {"decode": 2}, 8),
        captured_fps=25.0,
        segmented_fps=19.5,
        reconnects=1,
        image_age_ms=21.0,
        masks_age_ms=140.0,
        ages={stage: Ages(10.0 * i, 20.0 * i, 30.0 * i) for i, stage in enumerate(STAGES[:-1], 1)},
        counts={"car": 2, "person": 1},
        limit_fps=20.0,
        limit_changes=3,
    )
    return replace(report, **changed)  # type: ignore[arg-type]


def run_report(*cameras: CameraReport, **changed: object) -> LiveReport:
    """Returns a run that does well."""
    report = LiveReport(
        time.time_ns(), 95.0, cameras or (camera_report(),), storing=True, store_detail="drive.zarr", budget_ms=450.0
    )
    return replace(report, **changed)  # type: ignore[arg-type]


@dataclass
class ScriptedLive:
    """A thread that publishes images of some cameras and reports, as a run does."""

    page: Page
    cameras: tuple[str, ...] = ("front", "rear")
    fps: float = 12.0
    delay_ms: float = 0.0
    """How old an image is when it is published."""
    wall_ns: Callable[[], int] = time.time_ns
    scenes: dict[str, tuple[Moving, ...]] = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Fields of a camera's report that differ from those of a camera that does well."""
    image: Callable[..., LiveImage] = image_of

    def __post_init__(self) -> None:
        self.published = dict.fromkeys(self.cameras, 0)
        self.captured_ms: dict[str, list[int]] = {camera: [] for camera in self.cameras}
        """When each image was captured, as its barcode tells."""
        self.frozen = threading.Event()
        """Set, no more images come; reports go on."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-live", daemon=True)

    def __enter__(self) -> ScriptedLive:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        reported = 0.0
        while not self._stop.wait(1 / self.fps):
            if not self.frozen.is_set():
                for camera in self.cameras:
                    captured_ns = self.wall_ns() - round(self.delay_ms * 1e6)
                    scene = self.scenes.get(camera, SCENE)
                    index = self.published[camera]
                    self.page.publish(self.image(camera, index, captured_ns, scene, age_ms=self.delay_ms))
                    self.published[camera] += 1
                    self.captured_ms[camera].append(captured_ns // 1_000_000)
            if time.monotonic() - reported > 0.4:
                reported = time.monotonic()
                self.page.report(run_report(*map(self._camera, self.cameras), now_ns=self.wall_ns()))

    def _camera(self, camera: str) -> CameraReport:
        ages, scene = self.page.page_ages(camera), self.scenes.get(camera, SCENE)
        counts = {label: sum(one.label == label for one in scene) for label in {one.label for one in scene}}
        number = self.published[camera]
        ledger = replace(camera_report().ledger, captured=number + 40, stored=number)
        report = camera_report(camera, ledger=ledger, counts=counts)
        report = replace(report, ages=report.ages | ({"page": ages} if ages else {}))
        return replace(report, **dict(self.changed.get(camera, {})))  # type: ignore[arg-type]
