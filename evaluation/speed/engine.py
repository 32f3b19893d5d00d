"""Speed of the default engine against torchvision eager and others on the same images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from roadmask.engines import Image
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights
from roadmask.engines.openvino.calibration import calibrate
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.segmenter import Precision
from roadmask.engines.torch.segmenter import TorchSegmenter
from roadmask.evaluation.speed.engine_peers import Side, Terms, peer_sides
from roadmask.evaluation.speed.random_weights import find_or_make_weights, is_random
from roadmask.evaluation.speed.sample_images import street_images
from roadmask.evaluation.speed.timing import interleaved_ms, median


@dataclass(frozen=True)
class EngineBenchmark:
    """Settings of the benchmark, the same for every engine."""

    shape: tuple[int, int] = (384, 640)
    """Height and width of the network's input."""
    batches: tuple[int, ...] = (1,)
    """Batch sizes, one record each; torchvision eager takes one image at a time."""
    threads: int = field(default_factory=torch.get_num_threads)
    precision: Precision = "auto"
    """Precision of the default engine."""
    score_min: float = 0.5
    images: int = 20
    rounds: int = 2
    """How often each call is timed; in a round each side gets all images, the last call those at the start again if
    it would not be full."""
    cpu_time: bool = False
    """Measure the time of all threads on the processor instead of the clock on the wall: for machines that do other
    work, with one thread, since threads that wait for each other count too."""
    peers: tuple[str, ...] = ()
    """Names of `PEERS`."""


def benchmark_engine(weights: Iterable[str], settings: EngineBenchmark) -> list[dict[str, Any]]:
    """Times calls of engines, interleaved on the same letterboxed images; pasting masks is in no side.

    Args:
        weights: see `find_or_make_weights`.
        settings: how.

    Returns:
        Records of weights, engine, precision, shape, batch, K, D, threads, clock, mean_detections, gflop (of the
        eager network, or YOLO's own, an image), ms_median and ms_p95 (of the calls, each by its batch: an image),
        eager_ms_median, ratio (of the medians) and images (where they come from). A network other than that of the
        weights has None for them, K, D and mean_detections.

    Raises:
        WeightsError: weights cannot be used.
        EngineError: what a peer needs is not installed.
    """
    source, images = street_images(settings.images, settings.shape)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in weights:
            found = find_or_make_weights(name, Path(folder), images[0])
            results += [record | {"images": source} for record in _benchmark(found, images, settings)]
    return results


def _benchmark(weights: Weights, images: Sequence[Image], settings: EngineBenchmark) -> list[dict[str, Any]]:
    graph = GraphSettings.of(weights.architecture)
    everything = list(weights.class_names)
    terms = Terms(settings.score_min, settings.shape, settings.threads, graph)
    if settings.precision == "int8" and is_random(weights.name):
        calibrate(weights, images, input_size=settings.shape)
    default = OpenVinoSegmenter(weights, everything, precision=settings.precision, **terms.common())
    eager = TorchSegmenter(weights, everything, **terms.common())
    with FlopCounterMode(display=False) as counter:
        detections = np.mean([len(eager([image])[0]) for image in images])
    gflop = counter.get_total_flops() / len(images) / 1e9
    precision = cast("Precision", default.info.precision)
    sides = [Side("openvino", precision, batch, default) for batch in settings.batches]
    sides += [
        *peer_sides(settings.peers, weights, terms, precision, gflop),
        Side("torchvision-eager", "fp32", 1, eager),
    ]
    *times, eager_times = _call_ms(sides, images, settings)
    eager_ms = median(eager_times)
    return [
        {
            "weights": weights.name if side.runs_weights else None,
            "engine": side.engine,
            "precision": side.precision,
            "shape": f"{settings.shape[0]}x{settings.shape[1]}",
            "batch": side.batch,
            "K": graph.proposals if side.runs_weights else None,
            "D": graph.detections if side.runs_weights else None,
            "threads": settings.threads,
            "clock": "cpu" if settings.cpu_time else "wall",
            "mean_detections": round(float(detections), 2) if side.runs_weights else None,
            "gflop": round(gflop if side.gflop is None else side.gflop, 2),
            "ms_median": median(taken),
            "ms_p95": round(float(np.percentile(taken, 95)), 4),
            "eager_ms_median": eager_ms,
            "ratio": round(eager_ms / median(taken), 2),
        }
        for side, taken in zip(sides, times, strict=False)
    ]


def _call_ms(sides: Sequence[Side], images: Sequence[Image], settings: EngineBenchmark) -> list[list[float]]:
    """Returns for each side the milliseconds of each call, divided by its batch.

    The sides go through the images side by side: one that takes four at a time has its turn at every fourth.
    """
    clock = time.process_time if settings.cpu_time else time.perf_counter
    times: list[list[float]] = [[] for _ in sides]
    for start in range(len(images)):
        due = [number for number, side in enumerate(sides) if start % side.batch == 0]
        calls: list[Callable[[], object]] = []
        for side in (sides[number] for number in due):
            batch = [images[(start + place) % len(images)] for place in range(side.batch)]
            calls.append(partial(side.segment, batch))
        if not start:
            interleaved_ms(calls, 1)  # the first run allocates memory
        for number, taken in zip(due, interleaved_ms(calls, settings.rounds, clock), strict=True):
            times[number] += [ms / sides[number].batch for ms in taken]
    return times
