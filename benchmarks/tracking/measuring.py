"""Speed of trackers on one core: ours with both kinds of masks, others with boxes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_trackers import DEFAULTS, Peer
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.instances import Instances
from roadmask.engines.masks import MASK_SIDE, BoxMasks, RleMasks
from roadmask.tracking import IouTracker

IMAGE_SIZE = (720, 1280)
FPS = 10.0
NS = 1_000_000_000
_WARM_UP = 20
"""Number of first frames that are not timed: tracks start there, and libraries load."""


def synthetic_frames(frames: int, instances: int, seed: int = 0) -> list[Instances]:
    """Makes a scene in which every thing moves smoothly, turns at the borders and is found a little off.

    Args:
        frames: how many.
        instances: things a frame, all of them seen.
        seed: of places, speeds and noise.

    Returns:
        Frames with `BoxMasks`.
    """
    draw = np.random.default_rng(seed)
    height, width = IMAGE_SIZE
    sides = np.column_stack([draw.uniform(40, 180, instances), draw.uniform(40, 160, instances)])
    room = np.array([width, height]) - sides
    start, speed = draw.uniform(0, 1, (instances, 2)) * room, draw.normal(0, (60, 15), (instances, 2))  # pixels/s
    labels = np.where(np.arange(instances) % 3, CAR, PEDESTRIAN).astype(np.int64)
    y, x = np.mgrid[-1 : 1 : MASK_SIDE * 1j, -1 : 1 : MASK_SIDE * 1j]
    blob = np.clip(1.5 - (np.abs(x) ** 3 + np.abs(y) ** 3), 0, 1).astype(np.float32)
    scene = []
    for n in range(frames):
        way = start + speed * n / FPS
        corner = room - np.abs(way % (2 * room) - room)  # there and back again
        exact = np.concatenate([corner, corner + sides], axis=1)
        boxes = (exact + draw.normal(0, 1.5, (instances, 4))).astype(np.float32)
        scores = draw.uniform(0.6, 1, instances).astype(np.float32)
        masks = BoxMasks(np.repeat(blob[None], instances, 0), boxes, IMAGE_SIZE)
        scene.append(Instances(IMAGE_SIZE, boxes, scores, labels, masks))
    return scene


def benchmark_tracking(
    peers: Sequence[Peer], *, instances: int = 20, frames: int = 300, rounds: int = 3, seed: int = 0
) -> list[dict[str, Any]]:
    """Times trackers on the same scene, in turn, frame by frame.

    Args:
        peers: trackers of others; get boxes, scores and classes, and their own default settings.
        instances: things a frame.
        frames: of a round, of which the first are not timed.
        rounds: how often the scene is tracked from the start.
        seed: of the scene.

    Returns:
        For each tracker a record with its updates a second (frames over the time of all updates), those a second of
        processor time (the same on an idle machine; on a busy one without what others took), the median and the 99th
        percentile in milliseconds, and how many ids it gave; the fewer above `instances`, the better.
    """
    with_boxes = synthetic_frames(frames, instances, seed)
    runs: dict[tuple[str, str], Callable[[], Callable[[int], NDArray[np.int64]]]] = {
        ("roadmask", "BoxMasks"): lambda: _ours(as_if_segmented(with_boxes)),
        ("roadmask", "RleMasks"): lambda: _ours(as_if_read(with_boxes)),
        **{(peer.name, "none"): _theirs(peer, with_boxes) for peer in peers},
    }
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    busy = dict.fromkeys(runs, 0.0)
    given: dict[tuple[str, str], set[int]] = {}
    with _one_core():
        for _ in range(rounds):
            started = {key: start() for key, start in runs.items()}
            given = {key: set() for key in runs}
            for n in range(frames):
                for key, update in started.items():
                    worked, began = thread_time(), perf_counter()
                    ids = update(n)
                    took, worked = perf_counter() - began, thread_time() - worked
                    given[key].update(ids[ids > 0].tolist())
                    if n >= _WARM_UP or frames <= _WARM_UP:
                        times[key].append(took)
                        busy[key] += worked
    return [
        {
            "tracker": name,
            "instances": instances,
            "masks": masks,
            "updates_per_s": round(len(own) / sum(own), 1),
            "updates_per_cpu_s": round(len(own) / max(busy[name, masks], 1e-9), 1),
            "median_ms": round(1000 * float(np.median(own)), 4),
            "p99_ms": round(1000 * float(np.percentile(own, 99)), 4),
            "updates": len(own),
            "ids_given": len(given[name, masks]),
        }
        for (name, masks), own in times.items()
    ]


def as_if_segmented(scene: Sequence[Instances]) -> list[Instances]:
    """Returns the scene with masks that nobody has drawn yet, as they come from a network."""
    made = []
    for each in scene:
        assert isinstance(each.masks, BoxMasks)  # noqa: S101 - made above
        masks = BoxMasks(each.masks.probabilities, each.masks.boxes, each.image_size)
        made.append(Instances(each.image_size, each.boxes, each.scores, each.category_ids, masks))
    return made


def as_if_read(scene: Sequence[Instances]) -> list[Instances]:
    """Returns the scene with run lengths that nobody has looked into yet, as they come from a file."""
    read = []
    for each in scene:
        assert each.masks is not None  # noqa: S101 - made above
        masks = RleMasks(each.masks.to_rle().counts, each.image_size)
        read.append(Instances(each.image_size, each.boxes, each.scores, each.category_ids, masks))
    return read


def _ours(scene: Sequence[Instances]) -> Callable[[int], NDArray[np.int64]]:
    tracker = IouTracker()
    return lambda n: tracker.update(scene[n], round(n * NS / FPS)).track_ids


def _theirs(peer: Peer, scene: Sequence[Instances]) -> Callable[[], Callable[[int], NDArray[np.int64]]]:
    def start() -> Callable[[int], NDArray[np.int64]]:
        update = peer.of_all_classes(DEFAULTS.get(peer.name, {}), FPS)
        return lambda n: update(scene[n])

    return start


@contextmanager
def _one_core() -> Iterator[None]:
    """Keeps this process on one core, so that no library spreads out."""
    threads = cv2.getNumThreads()
    cores = os.sched_getaffinity(0)
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(threads)
