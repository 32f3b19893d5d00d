"""What is found where only every N-th frame is detected and masks are propagated to the others, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import MASK_SIDE, BoxMasks, RleMasks
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.sample_drive import SampleDrive, TruthFrame, score_drive
from roadmask.tracking import Backfill, IouTracker
from roadmask.tracking.propagation import GapFiller, MaskPropagator
from roadmask.tracking.propagation.carrying import carry
from roadmask.tracking.propagation.flow import FlowEstimator, FlowImage

EVERY = (2, 3, 5)
"""Numbers of frames from one detection to the next."""
SCORE_MIN = 0.5
"""Minimum score of an instance that counts."""
DAVIS_FPS = 24
"""Frames per second of the videos of DAVIS."""
COST_IMAGE_SIZE = (1080, 1920)
COST_INSTANCES = 10


class Method(Protocol):
    """A way to get the instances of every frame from the detections of some."""

    name: str
    """Name of the method in the records."""
    every: int
    """Number of frames from one detection to the next."""

    def push(self, image: Image, timestamp_ns: int, detected: Instances) -> list[Instances]:
        """Takes the next frame with its detection, weak instances included, which the method may use if it is its turn.

        Returns:
            Instances of the frames that are known now, in their order.
        """
        ...

    def flush(self) -> list[Instances]:
        """Returns the instances of the remaining frames."""
        ...


class EveryFrame:
    """Detects every frame."""

    name, every = "detected", 1

    def push(self, image: Image, timestamp_ns: int, detected: Instances) -> list[Instances]:  # noqa: ARG002
        """Returns the strong instances of the frame; see `Method`."""
        return [detected[detected.scores >= SCORE_MIN]]

    def flush(self) -> list[Instances]:
        """Returns nothing."""
        return []


class BothWays:
    """Fills the frames between detections from both, as `roadmask run --detect-every` does."""

    name = "both ways"

    def __init__(self, every: int) -> None:
        self.every, self._count = every, 0
        self._filler: GapFiller[None] = GapFiller(SCORE_MIN)

    def push(self, image: Image, timestamp_ns: int, detected: Instances) -> list[Instances]:
        """Returns the frames up to the last detection; see `Method`."""
        turn = self._count % self.every == 0
        self._count += 1
        return _instances(self._filler.push(None, image, timestamp_ns, detected if turn else None))

    def flush(self) -> list[Instances]:
        """Returns the frames after the last detection."""
        return _instances(self._filler.flush())


def _instances(ready: Iterable[tuple[None, Instances | None]]) -> list[Instances]:
    return [instances for _, instances in ready if instances is not None]


class Forward:
    """Carries each detection on until the next one, as a live camera must."""

    name = "forward"

    def __init__(self, every: int) -> None:
        self.every, self._count = every, 0
        self._propagator = MaskPropagator()

    def push(self, image: Image, timestamp_ns: int, detected: Instances) -> list[Instances]:  # noqa: ARG002
        """Returns the frame; see `Method`."""
        turn = self._count % self.every == 0
        self._count += 1
        return [self._propagator.step(image, detected[detected.scores >= SCORE_MIN] if turn else None)]

    def flush(self) -> list[Instances]:
        """Returns nothing."""
        return []


def methods(every: Iterable[int] = EVERY) -> list[Method]:
    """Returns all methods that are compared: every frame first."""
    return [EveryFrame(), *(kind(each) for kind in (BothWays, Forward) for each in every)]


def propagated_by(
    compared: Sequence[Method], segmenter: Segmenter, frames: Iterable[tuple[Image, int]]
) -> list[list[Instances]]:
    """Detects every frame once, and lets each method use the detections that it would have.

    Args:
        compared: the methods.
        segmenter: reports weak instances too.
        frames: images with their capture times in nanoseconds.

    Returns:
        For each method the instances of each frame.
    """
    found: list[list[Instances]] = [[] for _ in compared]
    for image, timestamp_ns in frames:
        (detected,) = segmenter([image])
        for method, results in zip(compared, found, strict=True):
            results.extend(method.push(image, timestamp_ns, detected))
    for method, results in zip(compared, found, strict=True):
        results.extend(method.flush())
    return found


def benchmark_sample_drive(
    segmenter: Segmenter, *, every: Iterable[int] = EVERY, drive: SampleDrive | None = None
) -> list[dict[str, Any]]:
    """Scores each method against the truth of the sample drive.

    Args:
        segmenter: reports weak instances too.
        every: numbers of frames from one detection to the next.
        drive: the drive; that of the front camera if None.

    Returns:
        Records of source, detect_every, method, class_name, recall, precision, mean_iou, id_switches, and the same
        three less those of every-frame detection as recall_change, precision_change and iou_change.
    """
    drive = drive or SampleDrive()
    times = [round(number / drive.fps * 1e9) for number in range(len(drive))]
    truths: list[TruthFrame] = []

    def frames() -> Iterator[tuple[Image, int]]:
        for number, timestamp_ns in enumerate(times):
            image, truth = drive.frame(number)
            truths.append(truth)
            yield image, timestamp_ns

    compared = methods(every)
    found = propagated_by(compared, segmenter, frames())
    records = [
        {
            "source": "sample drive",
            "detect_every": method.every,
            "method": method.name,
            "class_name": scored.name,
            "recall": round(scored.recall, 4),
            "precision": round(scored.precision, 4),
            "mean_iou": round(scored.mean_iou, 4),
            "id_switches": scored.id_switches,
        }
        for method, instances in zip(compared, found, strict=True)
        for scored in score_drive(instances, truths, _track_ids(instances, times)).classes
    ]
    return [_compared(record, records) for record in records]


def _compared(record: dict[str, Any], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns a record with its differences from every-frame detection of the same source and class."""
    whole = next(each for each in records if each["class_name"] == record["class_name"])
    fields = (("recall", "recall_change"), ("precision", "precision_change"), ("mean_iou", "iou_change"))
    return record | {change: round(record[field] - whole[field], 4) for field, change in fields}


def _track_ids(found: Sequence[Instances], times: Sequence[int]) -> list[NDArray[np.int64]]:
    """Returns the ids of the tracks that a recorded run stores."""
    tracker, backfill = IouTracker(), Backfill[None]()
    resolved = []
    for instances, timestamp_ns in zip(found, times, strict=True):
        resolved += backfill.push(None, tracker.update(instances, timestamp_ns))
    return [tracks.track_ids for _, tracks in (*resolved, *backfill.flush())]


def benchmark_davis(segmenter: Segmenter, folder: Path, *, every: Iterable[int] = EVERY) -> list[dict[str, Any]]:
    """Scores each method on a clip of DAVIS with one car: the mean over its frames of the best IoU of a car with it.

    Args:
        segmenter: reports weak instances too.
        folder: the folder of the clip, with JPEGImages and Annotations.
        every: numbers of frames from one detection to the next.

    Returns:
        Records of source, detect_every, method, mean_iou and iou_change.

    Raises:
        InputError: the folder has no images, or one cannot be read.
    """
    names = sorted(path.stem for path in folder.glob("JPEGImages/*.jpg"))
    if not names:
        raise InputError(f"expected JPEGImages/*.jpg in {folder}, found none: give the folder of a clip of DAVIS.")

    def frames() -> Iterator[tuple[Image, int]]:
        for number, name in enumerate(names):
            image = _read(folder / "JPEGImages" / f"{name}.jpg", cv2.IMREAD_COLOR)
            yield np.ascontiguousarray(image[..., ::-1]), round(number / DAVIS_FPS * 1e9)

    truths = [_read(folder / "Annotations" / f"{name}.png", cv2.IMREAD_GRAYSCALE) > 0 for name in names]
    compared = methods(every)
    records: list[dict[str, Any]] = []
    for method, found in zip(compared, propagated_by(compared, segmenter, frames()), strict=True):
        mean = round(float(np.mean([_best_iou(each, truth) for each, truth in zip(found, truths, strict=True)])), 4)
        record = {"source": folder.name, "detect_every": method.every, "method": method.name, "mean_iou": mean}
        records.append(record | {"iou_change": round(mean - (records[0]["mean_iou"] if records else mean), 4)})
    return records


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise InputError(f"expected an image at {path}, found none that can be read: copy the clip again.")
    return np.asarray(image, np.uint8)


def _best_iou(instances: Instances, truth: NDArray[np.bool_]) -> float:
    cars = instances[instances.category_ids == CAR]
    if not len(cars) or cars.masks is None:
        return 0.0
    return float(RleMasks.from_dense(truth[None], cars.image_size).iou(cars.masks).max())


def benchmark_cost(rounds: int = 200) -> dict[str, Any]:
    """Measures the processor time of propagating ten instances to the next image of 1080p.

    Args:
        rounds: number of times that it is done; the medians are reported.

    Returns:
        A record of instances, image_size, shrink_ms, flow_ms, move_ms and their sum cpu_ms, without run lengths and
        drawing.
    """
    drive, (height, width) = SampleDrive(), COST_IMAGE_SIZE
    images = [cv2.resize(drive.render(number), (width, height)) for number in (100, 101)]
    generator = np.random.default_rng(0)
    low = generator.uniform((0, height * 0.4), (width * 0.8, height * 0.6), (COST_INSTANCES, 2))
    boxes = np.concatenate([low, low + generator.uniform(60, 320, (COST_INSTANCES, 2))], axis=1).astype(np.float32)
    masks = BoxMasks(np.ones((COST_INSTANCES, MASK_SIDE, MASK_SIDE), np.float32), boxes, COST_IMAGE_SIZE)
    scores, cars = np.ones(COST_INSTANCES, np.float32), np.full(COST_INSTANCES, CAR, np.int64)
    instances = Instances(COST_IMAGE_SIZE, boxes, scores, cars, masks)
    estimate, before = FlowEstimator(), FlowImage.of(np.asarray(images[0], np.uint8))
    taken = []
    for _ in range(rounds):
        clock = [time.process_time()]
        after = FlowImage.of(np.asarray(images[1], np.uint8))
        clock.append(time.process_time())
        flow = estimate(before, after)
        clock.append(time.process_time())
        if flow is None:
            raise InputError("expected two images of one scene, got a change of scene.")
        carry(instances, flow)
        clock.append(time.process_time())
        taken.append(np.diff(clock) * 1e3)
    shrink, flow_ms, move = (round(float(each), 3) for each in np.median(taken, axis=0))
    return {
        "instances": COST_INSTANCES,
        "image_size": list(COST_IMAGE_SIZE),
        "shrink_ms": shrink,
        "flow_ms": flow_ms,
        "move_ms": move,
        "cpu_ms": round(shrink + flow_ms + move, 3),
    }
