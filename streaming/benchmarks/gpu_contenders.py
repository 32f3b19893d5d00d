"""Who takes part in the benchmark of GPUs: each gets camera frames in pinned memory and leaves detections there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch

from roadmask.engines import Segmenter
from roadmask.engines.errors import TensorRtMissingError
from roadmask.engines.gpu.build import Target, build_plan
from roadmask.engines.gpu.cuda import Cuda
from roadmask.engines.gpu.graph import GpuGraph
from roadmask.engines.gpu.graph_io import Inputs
from roadmask.engines.gpu.run import LoadedPlan
from roadmask.engines.gpu.segmenter import TensorRtSegmenter
from roadmask.engines.gpu.tensorrt_module import FLAVOURS, Flavour, load_tensorrt
from roadmask.engines.gpu.torch_cuda import CapturedGraph, TorchCudaSegmenter
from roadmask.engines.gpu.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.segmenter import Image
from roadmask.engines.weights import Weights
from roadmask.streaming.benchmarks.eager_graph import EagerGraph

SCORE_MIN = 0.5
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class Contender:
    """An engine that is ready to run."""

    name: str
    precision: GpuPrecision
    segment: Segmenter
    """From camera frames to instances."""
    repeat: Callable[[], None]
    """Copies the last frames to the device, runs the network on them, copies what it gives back, and waits."""


@dataclass(frozen=True)
class Candidate:
    """An engine that may take part."""

    name: str
    precision: GpuPrecision
    open: Callable[[], AbstractContextManager[Contender]]
    """Builds it, and frees its memory at the end; raises whatever keeps it from running."""


@dataclass(frozen=True)
class Round:
    """What all contenders get alike."""

    weights: Weights
    shape: tuple[int, int]
    """Height and width of the network's input."""
    frames: Sequence[Image]
    """The batch, of one size."""
    device: str

    @property
    def settings(self) -> GraphSettings:
        """Numbers of anchors, proposals and detections."""
        return GraphSettings.of(self.weights.architecture)

    @property
    def category_ids(self) -> list[int]:
        """All that the model knows."""
        return [category for category in self.weights.architecture.category_ids if category]

    @property
    def letterbox(self) -> Letterbox:
        """How frames lie in the network's input."""
        height, width, _ = self.frames[0].shape
        return Letterbox.fit((height, width), self.shape)


def candidates(given: Round) -> Iterator[Candidate]:
    """Yields each engine that is installed here, in fp32 and, on a GPU, in fp16."""
    on_gpu = given.device == "cuda"
    kinds: tuple[_Kind, ...] = get_args(_Kind) if on_gpu else ("torchvision-eager", "torch-cuda")
    precisions: tuple[GpuPrecision, ...] = ("fp32", "fp16") if on_gpu else ("fp32",)
    for precision in precisions:
        for kind in kinds:
            yield Candidate(kind, precision, partial(_torch, given, precision, kind))
        for flavour in FLAVOURS if on_gpu else ():
            try:
                load_tensorrt(flavour)
            except TensorRtMissingError as error:
                _LOG.info("%s takes no part: %s", flavour, error)
            else:
                yield Candidate(flavour, precision, partial(_tensorrt, given, precision, flavour))


_Kind = Literal["torchvision-eager", "torch-compile", "torch-cuda-uncompiled", "torch-cuda"]
ENGINES = (*get_args(_Kind), *FLAVOURS)


class _TorchSegmenter(TorchCudaSegmenter):
    """Our engine, or another way to run the network in its place, with the same memory and copies around it."""

    def __init__(self, given: Round, precision: GpuPrecision, kind: _Kind) -> None:
        super().__init__(
            given.weights,
            given.category_ids,
            score_min=SCORE_MIN,
            network_shape=given.shape,
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
            # Our static graph: torchvision's own breaks where its shapes depend on the picture.
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

    yield Contender(kind, precision, segmenter, repeat)


@contextmanager
def _tensorrt(given: Round, precision: GpuPrecision, flavour: Flavour) -> Iterator[Contender]:
    """Builds a plan for this GPU, in memory."""
    batch = len(given.frames)
    onnx = typed_onnx(given.weights, given.shape, batch, precision)
    plan = LoadedPlan.of(build_plan(onnx, Target(flavour, "here"), batch, given.shape), load_tensorrt(flavour))
    segmenter = TensorRtSegmenter(
        given.weights,
        given.category_ids,
        {given.shape: {batch: lambda: plan}},
        Cuda(),
        precision=precision,
        score_min=SCORE_MIN,
        network_shape=given.shape,
    )
    with closing(segmenter):
        segmenter(given.frames)
        yield Contender(flavour, precision, segmenter, segmenter.runner_for(given.letterbox, batch).repeat)
