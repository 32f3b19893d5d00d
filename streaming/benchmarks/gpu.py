"""How fast the engines for GPUs are, in one run on one card: first whether they are right, then their time.

Every contender gets the same camera frames, numbers of anchors, proposals and detections, and score threshold.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from roadmask.demos.sample_drive import SampleDrive
from roadmask.engines import Image, Instances, Segmenter
from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.gpu.graph import GpuGraph
from roadmask.engines.gpu.torch_cuda import TorchCudaSegmenter
from roadmask.engines.gpu.typed_onnx import GpuPrecision
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.models import load_model
from roadmask.engines.torch_engine import TorchSegmenter
from roadmask.engines.weights import Weights
from roadmask.streaming.benchmarks.timing import median

_LOG = logging.getLogger("roadmask")
_SURE = 0.6
"""Instances above this score must be found by every engine; at the threshold, rounding decides."""
_SCORE_MIN = 0.5
_FRAME = (1080, 1920)
_TOLERANCES: dict[str, tuple[float, float]] = {"fp32": (0.99, 0.005), "fp16": (0.9, 0.05)}
"""Least box IoU and largest difference of scores against torchvision eager fp32. fp32 may round as TF32 does."""
_MATMUL_SIDE = 8192


@dataclass(frozen=True)
class GpuBenchmark:
    """What is measured."""

    shapes: tuple[tuple[int, int], ...] = ((384, 640), (736, 1280))
    batches: tuple[int, ...] = (1, 4, 8)
    rounds: int = 50
    frame_size: tuple[int, int] = _FRAME
    device: str = "cuda"
    """`cpu` tests the benchmark itself."""


@dataclass(frozen=True)
class _Contender:
    name: str
    precision: str
    network: Callable[[], object] | None
    """Runs the network on letterboxed pictures that lie on the device; None where it cannot be told apart."""
    segment: Callable[[Sequence[Image]], list[Instances]] | None
    """From camera frames to instances; None if it is a network alone."""


def benchmark_gpu(weights: Weights, settings: GpuBenchmark) -> list[dict[str, Any]]:
    """Checks and times whatever runs here.

    Returns:
        Records of weights, engine, precision, shape, batch, engine_ms (median, a batch), frames_per_second (of the
        engine), rle_ms (median, a batch, camera frames to run lengths), gflop (a frame), tflops, matmul_tflops and
        matmul_fraction (of the card's measured rate in that precision); None where a figure does not exist.

    Raises:
        GpuMissingError: there is no CUDA GPU.
        EngineError: an engine finds something else than torchvision eager.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise GpuMissingError(
            f"the benchmark needs an NVIDIA GPU, and torch {torch.__version__} sees none: run it on a machine that has "
            "one, or measure this one with `roadmask bench engine`."
        )
    rates = {"fp32": _matmul_tflops(torch.float32, settings), "fp16": _matmul_tflops(torch.float16, settings)}
    results = []
    for shape in settings.shapes:
        for batch in settings.batches:
            frames = _frames(batch, settings.frame_size)
            gflop = _gflop(weights, shape)
            reference = TorchSegmenter(
                weights, _all(weights), score_min=_SCORE_MIN, network_shape=shape, settings=_of(weights)
            )
            expected = reference(frames)
            for each in _contenders(weights, shape, batch, settings):
                if each.segment is not None:
                    check(each.name, each.precision, each.segment(frames), expected)
                engine_ms = None if each.network is None else _median_ms(each.network, settings)
                rle_ms = None if each.segment is None else _median_ms(_to_rle(each.segment, frames), settings)
                tflops = None if engine_ms is None else gflop * batch / engine_ms
                results.append(
                    {
                        "weights": weights.name,
                        "engine": each.name,
                        "precision": each.precision,
                        "shape": f"{shape[0]}x{shape[1]}",
                        "batch": batch,
                        "engine_ms": engine_ms,
                        "frames_per_second": None if engine_ms is None else round(batch * 1e3 / engine_ms, 1),
                        "rle_ms": rle_ms,
                        "gflop": round(gflop, 2),
                        "tflops": None if tflops is None else round(tflops, 3),
                        "matmul_tflops": round(rates[each.precision], 3),
                        "matmul_fraction": None if tflops is None else round(tflops / rates[each.precision], 4),
                    }
                )
    return results


def check(name: str, precision: str, found: Sequence[Instances], expected: Sequence[Instances]) -> None:
    """Compares what an engine found with torchvision eager fp32.

    Raises:
        EngineError: something sure is missing, or further off than the precision allows.
    """
    iou_min, score_max = _TOLERANCES[precision]
    for picture, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for one, others in ((theirs, ours), (ours, theirs)):
            for place in np.flatnonzero(one.scores > _SURE):
                same = np.flatnonzero(others.labels == one.labels[place])
                ious = _ious(one.boxes[place], others.boxes[same])
                near = same[ious >= iou_min]
                if not len(near) or np.abs(others.scores[near] - one.scores[place]).min() > score_max:
                    where, score = one.boxes[place].round(1).tolist(), one.scores[place]
                    raise EngineError(
                        f"{name} {precision} is wrong: in picture {picture} it and torchvision eager differ at "
                        f"{where}, score {score:.3f}, best IoU {ious.max(initial=0):.3f}; nothing was timed."
                    )


def _ious(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    overlap = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray(overlap / np.maximum(area - overlap, 1e-9))


def _contenders(weights: Weights, shape: tuple[int, int], batch: int, settings: GpuBenchmark) -> Iterator[_Contender]:
    yield from _eager(weights, shape, batch, settings)
    half_too: tuple[GpuPrecision, ...] = ("fp32", "fp16") if settings.device == "cuda" else ("fp32",)
    for precision in half_too:
        dtype = torch.float16 if precision == "fp16" else torch.float32
        with torch.inference_mode():
            graph = GpuGraph(load_model(weights), shape, batch, _of(weights), dtype).eval().to(settings.device)
            inputs = graph.example_inputs(settings.frame_size)
        if settings.device == "cuda":
            yield _Contender("torch-compile", precision, _inference(torch.compile(graph), inputs), None)
        segmenter = TorchCudaSegmenter(
            weights,
            _all(weights),
            score_min=_SCORE_MIN,
            network_shape=shape,
            precision=precision,
            batch=batch,
            device=settings.device,
        )
        segmenter.warm_up(settings.frame_size)
        captured = segmenter._captured[settings.frame_size]

        def replay(captured: Any = captured) -> None:
            captured.replay()
            captured.wait()

        yield _Contender("torch-cuda", precision, replay, segmenter)
        if settings.device == "cuda":
            yield from _tensorrt(weights, shape, batch, precision, settings)


def _eager(weights: Weights, shape: tuple[int, int], batch: int, settings: GpuBenchmark) -> Iterator[_Contender]:
    eager = TorchSegmenter(weights, _all(weights), score_min=_SCORE_MIN, network_shape=shape, settings=_of(weights))
    model = eager._model.to(settings.device)
    images = [torch.rand(3, *shape, device=settings.device) for _ in range(batch)]
    # Its own resizing would change the shape: let it keep the pictures as they are.
    model.transform.min_size, model.transform.max_size = (min(shape),), max(shape)
    yield _Contender("torchvision-eager", "fp32", _inference(model, (images,)), None)
    if settings.device == "cuda":

        def half() -> object:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16):
                return model(images)

        yield _Contender("torchvision-eager", "fp16", half, None)


def _tensorrt(
    weights: Weights, shape: tuple[int, int], batch: int, precision: GpuPrecision, settings: GpuBenchmark
) -> Iterator[_Contender]:
    """Builds plans for this GPU with each TensorRT that is installed, in memory."""
    from roadmask.engines.gpu.build import Target, build_plan  # noqa: PLC0415 - optional
    from roadmask.engines.gpu.cuda import Cuda  # noqa: PLC0415
    from roadmask.engines.gpu.run import LoadedPlan  # noqa: PLC0415
    from roadmask.engines.gpu.segmenter import TensorRtSegmenter  # noqa: PLC0415
    from roadmask.engines.gpu.tensorrt_module import Flavour, load_tensorrt  # noqa: PLC0415
    from roadmask.engines.gpu.typed_onnx import typed_onnx  # noqa: PLC0415

    flavours: tuple[Flavour, ...] = ("tensorrt", "tensorrt-rtx")
    for flavour in flavours:
        if find_spec(flavour.replace("-", "_")) is None:
            continue
        try:
            content = build_plan(typed_onnx(weights, shape, batch, precision), Target(flavour, "here"), batch, shape)
            plan = LoadedPlan.of(content, load_tensorrt(flavour))
        except EngineError as error:  # TensorRT for RTX does not know every chip
            _LOG.warning("%s %s is left out: %s", flavour, precision, error)
            continue
        segmenter = TensorRtSegmenter(
            weights,
            _all(weights),
            lambda _, plan=plan: plan,  # type: ignore[misc]
            Cuda(),
            precision=precision,
            score_min=_SCORE_MIN,
            network_shape=shape,
        )
        segmenter.warm_up(settings.frame_size)
        [runner, *_] = segmenter._runners[settings.frame_size]
        frames = _frames(batch, settings.frame_size)
        runner.launch(frames)
        runner.collect()
        yield _Contender(flavour, precision, runner.repeat, segmenter)
        segmenter.close()


def _inference(network: Callable[..., object], inputs: Sequence[object]) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return network(*inputs)

    return run


def _to_rle(
    segment: Segmenter | Callable[[Sequence[Image]], list[Instances]], frames: Sequence[Image]
) -> Callable[[], object]:
    return lambda: [found.masks.to_rle() for found in segment(frames) if found.masks is not None]


def _median_ms(run: Callable[[], object], settings: GpuBenchmark) -> float:
    taken = []
    for number in range(settings.rounds + 3):  # the first three choose kernels and fill caches
        _synchronise(settings)
        start = time.perf_counter()
        run()
        _synchronise(settings)
        if number >= 3:
            taken.append((time.perf_counter() - start) * 1e3)
    return median(taken)


def _synchronise(settings: GpuBenchmark) -> None:
    if settings.device == "cuda":
        torch.cuda.synchronize()


def _matmul_tflops(dtype: torch.dtype, settings: GpuBenchmark) -> float:
    side = _MATMUL_SIDE if settings.device == "cuda" else 256
    left = torch.rand(side, side, device=settings.device, dtype=dtype)
    milliseconds = _median_ms(lambda: left @ left, settings)
    return 2 * side**3 / milliseconds / 1e9


def _gflop(weights: Weights, shape: tuple[int, int]) -> float:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        graph = GpuGraph(load_model(weights), shape, 1, _of(weights)).eval()
        before = counter.get_total_flops()  # of the black picture that gives the anchors
        graph(*graph.example_inputs())
    return float(counter.get_total_flops() - before) / 1e9


def _frames(count: int, size: tuple[int, int]) -> list[Image]:
    drive = SampleDrive()
    pictures = [drive.frame(index)[0] for index in range(0, len(drive), max(1, len(drive) // count))][:count]
    return [Letterbox.fit(picture.shape[:2], size).apply(picture) for picture in pictures]


def _all(weights: Weights) -> list[int]:
    return [category for category in weights.architecture.category_ids if category]


def _of(weights: Weights) -> GraphSettings:
    return GraphSettings.of(weights.architecture)
