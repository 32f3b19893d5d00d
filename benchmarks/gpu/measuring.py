"""Agreement with torchvision, then speed, of the engines for GPUs, in one run on one card.

Every contender gets the same camera frames and does the same work with them: copy to the device, resize, letterbox,
normalise, network, copy back. Numbers of anchors, proposals and detections and the score threshold are the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.contenders import (
    SCORE_MIN,
    Candidate,
    Contender,
    Product,
    Round,
    candidates,
    entries,
)
from roadmask.engines import Image, Instances
from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.image_folder import evenly_spread
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.weights import Weights
from roadmask.engines.torch.segmenter import TorchSegmenter
from roadmask.evaluation.speed.random_weights import find_or_make_weights, is_random
from roadmask.evaluation.speed.timing import median
from roadmask.sample_drive import SampleDrive

_SURE = 0.6
"""Instances above this score must be found by every engine; at the threshold, rounding decides."""
_FRAME = (1080, 1920)
_TOLERANCES: dict[str, tuple[float, float]] = {"fp32": (0.99, 0.005), "fp16": (0.9, 0.05), "int8": (0.75, 0.15)}
"""Least box IoU and largest difference of scores against torchvision eager fp32. fp32 may round as TF32 does.

int8's let pass what lite's graph gives in ONNX Runtime, where 97 % of the sure instances of eight frames of the sample
drive are within them; 81 % are within those of fp16."""
_AGREED_MIN = 0.9
"""Of the sure instances: of two boxes that overlap by about as much as NMS lets pass, rounding decides which stays."""
_AGREED_MIN_RANDOM = 0.7
"""Random weights leave many such pairs: torchvision eager in half agrees with itself in fp32 on 84 % of them."""
_MATMUL_SIDE = 8192


@dataclass(frozen=True)
class GpuBenchmark:
    """Settings of the benchmark."""

    shapes: tuple[tuple[int, int], ...] = ((384, 640), (736, 1280))
    batches: tuple[int, ...] = (1, 4, 8)
    rounds: int = 50
    frame_size: tuple[int, int] = _FRAME
    device: str = "cuda"
    """`cpu` tests the benchmark itself."""
    engines: tuple[str, ...] = ()
    """Names of the engines that take part; all by default."""
    precisions: tuple[str, ...] = ()
    """Precisions that take part; all by default."""


def benchmark_gpu(weights: str, settings: GpuBenchmark) -> list[dict[str, Any]]:
    """Checks and times whatever runs here.

    Args:
        weights: see `find_or_make_weights`.
        settings: what is measured.

    Returns:
        Records of weights, engine, precision, shape, batch, engine_ms (median, a batch: camera frames in pinned memory
        to detections there), frames_per_second (of the engine), rle_ms (median, a batch, camera frames to run lengths),
        gflop (of its own arithmetic for a frame), tflops, product (what its convolutions multiply: tf32 by torch's
        default for fp32), matmul_tflops (which the card's matrix product reaches in that, None for int8, which torch
        has no public one of) and matmul_fraction (of it), agreed (share of the sure instances, see `check`), state and
        problem. What is not `timed` has a problem and no times: it `failed`, as it cannot run here, or is `wrong`, as
        it finds something else than torchvision eager, or neither finds anything to tell by.

    Raises:
        GpuMissingError: there is no CUDA GPU.
        TensorRtMissingError: an engine that was asked for by name is not installed.
        ConfigError: no engine that was asked for computes in the precisions that were.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise GpuMissingError(
            f"the benchmark needs an NVIDIA GPU, and torch {torch.__version__} sees none: run it on a machine that has "
            "one, or measure this one with `roadmask bench engine`."
        )
    entered = entries(settings.engines, settings.precisions, settings.device)
    results = list[dict[str, Any]]()
    with TemporaryDirectory() as folder:
        image = Letterbox.fit(settings.frame_size, settings.shapes[0]).apply(_frames(1, settings.frame_size)[0])
        found = find_or_make_weights(weights, Path(folder), image)
        rates = _matmul_tflops(settings)
        for shape in settings.shapes:
            gflop = _gflop(found, shape)
            for batch in settings.batches:
                given = Round(found, shape, _frames(batch, settings.frame_size), settings.device, gflop)
                reference = TorchSegmenter(
                    found, given.category_ids, score_min=SCORE_MIN, input_size=shape, settings=given.settings
                )
                expected = reference(given.frames)
                for each in candidates(given, entered):
                    results.append(_record(each, given, expected, rates, settings))
                    _free_memory(settings)
    return results


def require_right(results: Sequence[dict[str, Any]]) -> None:
    """Checks that no engine is wrong.

    Raises:
        EngineError: one is, or could not be compared.
    """
    wrong = [record["problem"] for record in results if record["state"] == "wrong"]
    if wrong:
        raise EngineError(f"{len(wrong)} of {len(results)} engines were wrong and not timed, the first: {wrong[0]}")


def _record(
    candidate: Candidate,
    given: Round,
    expected: Sequence[Instances],
    rates: Mapping[Product, float],
    settings: GpuBenchmark,
) -> dict[str, Any]:
    batch, (height, width) = len(given.frames), given.shape
    engine_ms = rle_ms = gflop = tflops = product = rate = agreed = None
    state, problem = "timed", ""
    try:
        with candidate.open() as contender:
            gflop, product, rate = contender.gflop, contender.product, rates.get(contender.product)
            found = contender.segment(given.frames)
            try:
                least = _AGREED_MIN_RANDOM if is_random(given.weights.name) else _AGREED_MIN
                agreed = round(check(contender.name, contender.precision, found, expected, least), 3)
            except EngineError as error:
                state, problem = "wrong", str(error)
            else:
                engine_ms = _median_ms(contender.repeat, settings)
                rle_ms = _median_ms(_to_rle(contender, given.frames), settings)
                tflops = gflop * batch / engine_ms
    except Exception as error:  # compilers fail in many ways; the others are to be timed all the same
        state, problem = "failed", f"{type(error).__name__}: {error}"
        engine_ms = rle_ms = tflops = agreed = None
    return {
        "weights": given.weights.name,
        "engine": candidate.name,
        "precision": candidate.precision,
        "shape": f"{height}x{width}",
        "batch": batch,
        "engine_ms": engine_ms,
        "frames_per_second": None if engine_ms is None else round(batch * 1e3 / engine_ms, 1),
        "rle_ms": rle_ms,
        "gflop": None if gflop is None else round(gflop, 2),
        "tflops": None if tflops is None else round(tflops, 3),
        "product": product,
        "matmul_tflops": None if rate is None else round(rate, 3),
        "matmul_fraction": None if tflops is None or rate is None else round(tflops / rate, 4),
        "agreed": agreed,
        "state": state,
        "problem": problem,
    }


def _free_memory(settings: GpuBenchmark) -> None:
    """Gives back what an engine held, before the next one is built."""
    if settings.device == "cuda":
        torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()


def check(
    name: str,
    precision: str,
    found: Sequence[Instances],
    expected: Sequence[Instances],
    agreed_min: float = _AGREED_MIN,
) -> float:
    """Compares what an engine found with torchvision eager fp32.

    Args:
        name: of the engine.
        precision: its own.
        found: by it.
        expected: of the same images.
        agreed_min: the share below which it is wrong.

    Returns:
        Share of the sure instances of both for which the other has one at the same place with the same score.

    Raises:
        EngineError: it is too small, or neither has a sure instance.
    """
    iou_min, score_max = _TOLERANCES[precision]
    agreed, first = list[bool](), ""
    for image, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for one, others in ((theirs, ours), (ours, theirs)):
            for place in np.flatnonzero(one.scores > _SURE):
                same = np.flatnonzero(others.category_ids == one.category_ids[place])
                ious = _ious(one.boxes[place], others.boxes[same])
                near = same[ious >= iou_min]
                agreed.append(bool(len(near)) and np.abs(others.scores[near] - one.scores[place]).min() <= score_max)
                if not agreed[-1] and not first:
                    where, score = one.boxes[place].round(1).tolist(), one.scores[place]
                    first = f"image {image} at {where}, score {score:.3f}, best IoU {ious.max(initial=0):.3f}"
    if not agreed:
        raise EngineError(
            f"{name} {precision} cannot be judged: neither it nor torchvision eager finds an instance above {_SURE} in "
            f"{len(expected)} images; take other weights, or a larger shape."
        )
    share = sum(agreed) / len(agreed)
    if share < agreed_min:
        raise EngineError(
            f"{name} {precision} is wrong: it and torchvision eager agree on {share:.0%} of {len(agreed)} sure "
            f"instances, the first that they do not is in {first}."
        )
    return share


def _ious(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    overlap = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray(overlap / np.maximum(area - overlap, 1e-9))


def _to_rle(contender: Contender, frames: Sequence[Image]) -> Callable[[], object]:
    return lambda: [found.masks.to_rle() for found in contender.segment(frames) if found.masks is not None]


def _median_ms(run: Callable[[], object], settings: GpuBenchmark) -> float:
    taken = []
    unmeasured = 3 if settings.device == "cuda" else 0  # the first choose kernels and fill caches
    for number in range(settings.rounds + unmeasured):
        _synchronise(settings)
        start = time.perf_counter()
        run()
        _synchronise(settings)
        if number >= unmeasured:
            taken.append((time.perf_counter() - start) * 1e3)
    return median(taken)


def _synchronise(settings: GpuBenchmark) -> None:
    if settings.device == "cuda":
        torch.cuda.synchronize()


def _matmul_tflops(settings: GpuBenchmark) -> dict[Product, float]:
    """Returns what the card's matrix product reaches; that of fp32 with and without TF32, which torch leaves out."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        rates: dict[Product, float] = {"fp32": _rate(torch.float32, settings), "fp16": _rate(torch.float16, settings)}
        torch.set_float32_matmul_precision("high")
        return rates | {"tf32": _rate(torch.float32, settings)}
    finally:
        torch.set_float32_matmul_precision(before)


def _rate(dtype: torch.dtype, settings: GpuBenchmark) -> float:
    side = _MATMUL_SIDE if settings.device == "cuda" else 256
    left = torch.rand(side, side, device=settings.device, dtype=dtype)
    milliseconds = _median_ms(lambda: left @ left, settings)
    return 2 * side**3 / milliseconds / 1e9


def _gflop(weights: Weights, shape: tuple[int, int]) -> float:
    """Returns the arithmetic of a frame, as our graph does it."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        graph = GpuGraph(load_model(weights), shape, 1, GraphSettings.of(weights.architecture)).eval()
        before = counter.get_total_flops()  # of the black image that gives the anchors
        graph(*graph.example_inputs())
    return float(counter.get_total_flops() - before) / 1e9


def _frames(count: int, size: tuple[int, int]) -> list[Image]:
    drive = SampleDrive()
    images = [drive.frame(index)[0] for index in evenly_spread(len(drive), count)]
    return [Letterbox.fit(image.shape[:2], size).apply(image) for image in images]
