"""The engines of the GPU benchmark: each gets camera frames in pinned memory and leaves detections there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast, get_args

import cv2
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.eager_graph import EagerGraph
from roadmask.engines import Segmenter
from roadmask.engines.errors import ConfigError, TensorRtMissingError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_io import Inputs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.quantization import calibrate
from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image
from roadmask.engines.tensorrt.build import Target, build_plan
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.runner import LoadedPlan
from roadmask.engines.tensorrt.segmenter import TensorRtSegmenter
from roadmask.engines.tensorrt.tensorrt_module import FLAVOURS, Flavour, load_tensorrt
from roadmask.engines.torch_cuda.captured_graph import CapturedGraph
from roadmask.engines.torch_cuda.segmenter import TorchCudaSegmenter
from roadmask.evaluation.speed.random_weights import is_random

Product = Literal["fp32", "tf32", "fp16", "int8"]
"""What numbers are rounded to before they are multiplied."""
SCORE_MIN = 0.5
_LOG = logging.getLogger("roadmask")
_Kind = Literal["torchvision-eager", "torch-compile", "torch-cuda-uncompiled", "torch-cuda"]
_ON_CPU = ("torchvision-eager", "torch-cuda")
_PRECISIONS: dict[str, tuple[GpuPrecision, ...]] = {
    **dict.fromkeys(get_args(_Kind), ("fp32", "fp16")),
    **dict.fromkeys(FLAVOURS, ("fp32", "fp16", "int8")),
}
ENGINES = tuple(_PRECISIONS)


@dataclass(frozen=True)
class Contender:
    """An engine that is ready to run."""

    name: str
    precision: GpuPrecision
    segment: Segmenter
    """Function from camera frames to instances."""
    repeat: Callable[[], None]
    """Copies the last frames to the device, runs the network on them, copies what it gives back, and waits."""
    gflop: float
    """GFLOP per frame of its own arithmetic."""
    product: Product
    """Type that its convolutions multiply."""


@dataclass(frozen=True)
class Candidate:
    """An engine that may take part."""

    name: str
    precision: GpuPrecision
    open: Callable[[], AbstractContextManager[Contender]]
    """Builds it, and frees its memory at the end; raises whatever keeps it from running."""


@dataclass(frozen=True)
class Round:
    """Weights, frames and settings that all contenders share."""

    weights: Weights
    shape: tuple[int, int]
    """Height and width of the network's input."""
    frames: Sequence[Image]
    """Frames of the batch, of one size."""
    device: str
    gflop: float
    """Of a frame in our graph, which computes all slots for instances, whatever is in the image."""

    @property
    def settings(self) -> GraphSettings:
        """Numbers of anchors, proposals and detections."""
        return GraphSettings.of(self.weights.architecture)

    @property
    def category_ids(self) -> list[int]:
        """All category ids of the model."""
        return [category for category in self.weights.architecture.category_ids if category]

    @property
    def letterbox(self) -> Letterbox:
        """How frames lie in the network's input."""
        height, width, _ = self.frames[0].shape
        return Letterbox.fit((height, width), self.shape)


def entries(engines: Sequence[str], precisions: Sequence[str], device: str = "cuda") -> list[tuple[str, GpuPrecision]]:
    """Returns which engines take part, in which precision.

    Args:
        engines: names of `ENGINES`; all that are installed if none is given.
        precisions: all that the engines compute in if none is given.
        device: without a GPU few run, in fp32.

    Raises:
        TensorRtMissingError: an engine that was asked for is not installed; the message says how to install it.
        ConfigError: none of the engines computes in the precisions.
    """
    named = engines or (ENGINES if device == "cuda" else _ON_CPU)
    missing: dict[str, TensorRtMissingError] = {}
    for flavour in (each for each in FLAVOURS if each in named):
        try:
            load_tensorrt(flavour)
        except TensorRtMissingError as error:
            if engines:
                raise
            _LOG.info("%s takes no part: %s", flavour, error)
            missing[flavour] = error
    known: tuple[GpuPrecision, ...] = get_args(GpuPrecision) if device == "cuda" else ("fp32",)
    asked = [
        (name, precision)
        for precision in known
        for name in named
        if precision in _PRECISIONS[name] and precision in (precisions or known)
    ]
    entered = [(name, precision) for name, precision in asked if name not in missing]
    if asked and not entered:
        raise missing[asked[0][0]]
    if not entered:
        raise ConfigError(
            f"expected a precision that {', '.join(named)} computes in, got {', '.join(precisions)}: the engines of "
            "torch take fp32 and fp16, TensorRT int8, too."
        )
    return entered


def candidates(given: Round, entered: Sequence[tuple[str, GpuPrecision]]) -> Iterator[Candidate]:
    """Yields what builds each engine that takes part, see `entries`."""
    for name, precision in entered:
        if name in FLAVOURS:
            yield Candidate(name, precision, partial(_tensorrt, given, precision, name))
        else:
            yield Candidate(name, precision, partial(_torch, given, precision, cast("_Kind", name)))


class _TorchSegmenter(TorchCudaSegmenter):
    """Our engine, or another way to run the network in its place, with the same memory and copies around it."""

    def __init__(self, given: Round, precision: GpuPrecision, kind: _Kind) -> None:
        super().__init__(
            given.weights,
            given.category_ids,
            score_min=SCORE_MIN,
            input_size=given.shape,
            precision=precision,
            batches=(len(given.frames),),
            device=given.device,
        )
        self._kind, self._precision = kind, precision
        self._compiles = self._compiles and kind == "torch-cuda"

    def _capture(self, graph: GpuGraph, inputs: Inputs, letterbox: Letterbox) -> CapturedGraph:
        if self._kind in {"torch-cuda", "torch-cuda-uncompiled"}:
            return super()._capture(graph, inputs, letterbox)
        if self._kind == "torch-compile":
            # Our static graph: torchvision's own breaks where its shapes depend on the image.
            return CapturedGraph.of(torch.compile(graph), inputs, capture=False)
        half = self._precision == "fp16"
        eager = EagerGraph(self._weights, letterbox, self._settings, SCORE_MIN, half=half)
        return CapturedGraph.of(eager.to(self._device).eval(), inputs, capture=False)


@contextmanager
def _torch(given: Round, precision: GpuPrecision, kind: _Kind) -> Iterator[Contender]:
    segmenter = _TorchSegmenter(given, precision, kind)
    segmenter(given.frames)
    captured = segmenter.captured_for(given.letterbox, len(given.frames))

    def repeat() -> None:
        captured.replay()
        captured.wait()

    gflop = given.gflop
    if kind == "torchvision-eager":  # its heads compute what it found in these frames
        with FlopCounterMode(display=False) as counter:
            repeat()
        gflop = counter.get_total_flops() / len(given.frames) / 1e9
    # torch's default for convolutions in fp32; its matrix products, few beside them, stay fp32.
    tf32 = precision == "fp32" and given.device == "cuda" and torch.backends.cudnn.allow_tf32
    yield Contender(kind, precision, segmenter, repeat, gflop, "tf32" if tf32 else precision)


@contextmanager
def _tensorrt(given: Round, precision: GpuPrecision, flavour: Flavour) -> Iterator[Contender]:
    """Builds a plan for this GPU, in memory."""
    batch = len(given.frames)
    if precision == "int8" and is_random(given.weights.name):
        _calibrate(given)
    onnx = typed_onnx(given.weights, given.shape, batch, precision)
    plan = LoadedPlan.of(build_plan(onnx, Target(flavour, "here"), batch, given.shape), load_tensorrt(flavour))
    segmenter = TensorRtSegmenter(
        given.weights,
        given.category_ids,
        {given.shape: {batch: lambda: plan}},
        Cuda(),
        precision=precision,
        score_min=SCORE_MIN,
        input_size=given.shape,
    )
    with closing(segmenter):
        segmenter(given.frames)
        repeat = segmenter.runner_for(given.letterbox, batch).repeat
        yield Contender(flavour, precision, segmenter, repeat, given.gflop, precision)


def _calibrate(given: Round) -> None:
    """Measures the ranges of random weights on the frames themselves, as nobody else can have measured them."""
    graph = typed_onnx(given.weights, given.shape, 1, "fp32")
    with TemporaryDirectory() as folder:
        for number, frame in enumerate(given.frames):
            cv2.imwrite(str(Path(folder) / f"{number}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        calibrate(graph, given.weights, given.shape, Path(folder))
