"""Short drives of tiny images, and a segmenter for the workers of a batch."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from roadmask.engines import BoxMasks, Instances, ScriptedSegmenter
from roadmask.streaming.batch.batch import BatchPlan, BatchSettings, plan_batch
from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob
from support.video_factory import write_clip

SIZE = (48, 80)


def find_red(image: np.ndarray, _number: int = 0) -> Instances:
    """The red half of a clip's image as a car, as wide as the number in the image's first bar says."""
    width = 30 if image[12, 5].mean() > 127 else 36
    boxes = np.array([[2, 26, width, 46]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, SIZE)
    return Instances(SIZE, boxes, np.array([0.9], np.float32), np.array([3]), masks)


def red_segmenter() -> ScriptedSegmenter:
    return ScriptedSegmenter(find_red)


def slow_segmenter() -> ScriptedSegmenter:
    return ScriptedSegmenter(find_red, delay_s=0.1)


def gated_segmenter(gate: Path) -> ScriptedSegmenter:
    """Stops at the third image of each drive of nine while there is this file, two minutes at most."""

    def find(image: np.ndarray, number: int) -> Instances:
        waited_until = time.monotonic() + 120
        while number % 9 == 2 and gate.exists() and time.monotonic() < waited_until:
            time.sleep(0.02)
        return find_red(image, number)

    return ScriptedSegmenter(find, delay_s=0.1)


def deadly_segmenter() -> ScriptedSegmenter:
    """Its process is killed by the first image, as the system does when memory runs out."""

    def find(image: np.ndarray, number: int) -> Instances:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
        return find_red(image, number)

    return ScriptedSegmenter(find)


def write_drives(folder: Path, good: int, *, frames: int = 6, broken: int = 0) -> Path:
    """Writes clips d00.mp4 ...; after them come broken ones: empty, text, and cut in half."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(good):
        write_clip(folder / f"d{number:02d}.mp4", range(number, number + frames + number % 3), size=SIZE)
    for number in range(good, good + broken):
        path = folder / f"d{number:02d}.mp4"
        whole = (folder / "d00.mp4").read_bytes()
        path.write_bytes([b"", b"this is no video", whole[: len(whole) // 2]][number % 3])
    return folder


def plan_of(videos: Path, out: Path, settings: BatchSettings, config: RunConfig | None = None) -> BatchPlan:
    return plan_batch(find_drives([str(videos)], out=out).drives, out, config or RunConfig(), settings)


def single(video: Path, out: Path, config: RunConfig | None = None) -> Path:
    """The store of one video as `roadmask run VIDEO` makes it."""
    jobs = [CameraJob(video.stem, (str(video),))]
    config = config or RunConfig()
    record_drive(jobs, out, config, build=red_segmenter)
    return out
