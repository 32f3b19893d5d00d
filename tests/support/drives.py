"""A camera whose images are made up, and a segmenter that finds what was drawn in them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines import BoxMasks, Instances, ScriptedSegmenter
from roadmask.engines.errors import EngineError, SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sinks.sink import BaseSink, TrackedFrame
from roadmask.streaming.sources import BaseSource

CAR_COLOUR = 200
POISON = 13
"""An image whose first pixel has this value makes the segmenter fail."""


@dataclass
class ScriptedSource(BaseSource):
    """A grey street on which one bright car drives to the right."""

    camera: str
    frames: int = 30
    fps: float = 10.0
    image_size: tuple[int, int] = (48, 96)
    epoch_at: int | None = None
    """Frame from which on the images are half as large."""
    lost: frozenset[int] = frozenset()
    """Frames that give no image."""
    poisoned: frozenset[int] = frozenset()
    """Frames on which the segmenter fails."""
    breaks_at: int | None = None
    """Frame at which the source breaks."""
    stuck_at: int | None = None
    """Frame from which on time stands still, which no source may do."""
    delay_seed: int | None = None
    """Waits up to 20 ms before each frame, by this seed."""
    swallowed: frozenset[int] = frozenset()
    """Frames that are captured but never handed on: what the ledger is there to notice."""
    clock: Any = "media"
    captured: int = 0
    frames_expected: int | None = field(default=None, init=False)

    def describe(self) -> dict[str, Any]:
        return {"kind": "scripted", "frames": self.frames}

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        self.require_open()
        self.captured = 0
        delays = np.random.default_rng(self.delay_seed)
        for index in range(self.frames):
            if index == self.breaks_at:
                raise SourceError(f"{self.camera} broke at frame {index}: plug it in again.")
            if self.delay_seed is not None:
                time.sleep(delays.uniform(0, 0.02))
            self.captured += 1
            timestamp_ns = round(min(index, self.stuck_at or index) / self.fps * 1e9)
            late = self.epoch_at is not None and index >= self.epoch_at
            height, width = (side // 2 if late else side for side in self.image_size)
            if index in self.swallowed:
                continue
            if index in self.lost:
                yield LostFrame(self.camera, int(late), index, timestamp_ns)
                continue
            image = np.full((height, width, 3), 60, np.uint8)
            left = (2 * index) % (width - 20)
            image[height // 2 : height // 2 + 10, left : left + 18] = CAR_COLOUR
            if index in self.poisoned:
                image[0, 0] = POISON
            yield Frame(self.camera, int(late), index, timestamp_ns, self.clock, image)


def scripted_job(camera: str = "front", *, overlay: Any = None, **script: Any) -> CameraJob:
    """Returns a job whose source follows a script, see `ScriptedSource`."""
    return CameraJob(camera, ("script:",), overlay, partial(_open, script))


def _open(script: dict[str, Any], camera: str, _specs: Sequence[str]) -> ScriptedSource:
    return ScriptedSource(camera, **script)


def find_bright(image: np.ndarray, _index: int = 0) -> Instances:
    """Returns the bright rectangle of an image as a car."""
    if image[0, 0, 0] == POISON:
        raise EngineError("the image is poisoned: expected a grey street.")
    size = image.shape[:2]
    rows, columns = np.nonzero(image[:, :, 0] == CAR_COLOUR)
    if not len(rows):
        return Instances.empty(size)
    boxes = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, size)
    return Instances(size, boxes, np.array([0.9], np.float32), np.array([3]), masks)


def bright_segmenter() -> ScriptedSegmenter:
    """Returns a segmenter that finds the bright car of a `ScriptedSource`."""
    return ScriptedSegmenter(find_bright)


def deadly() -> ScriptedSegmenter:
    """Returns a segmenter whose process dies of a poisoned image."""

    def find(image: np.ndarray, index: int) -> Instances:
        if image[0, 0, 0] == POISON:
            os._exit(1)
        return find_bright(image, index)

    return ScriptedSegmenter(find)


def built_outside(process: int | None) -> ScriptedSegmenter:
    """Returns a segmenter, except in one process; None refuses in every process."""
    if process in (None, os.getpid()):
        raise EngineError("expected to be built in another process: start one.")
    return ScriptedSegmenter(find_bright)


class CountingSink(BaseSink):
    """Writes how many frames it took, and how many there were, into NAME.txt: it may live in another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = 0

    def write(self, _tracked: TrackedFrame) -> None:
        self.frames += 1

    def close(self, captured: int | None) -> None:
        self.path.write_text(f"{self.frames} frames of {captured}")


def counting_sinks(folder: Path, camera: str) -> list[CountingSink]:
    return [CountingSink(folder / f"{camera}.txt")]
