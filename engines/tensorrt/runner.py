"""Runs a plan on frames of one size. All memory is allocated once; a batch is one copy, one launch and one wait.

Who owns what: the runner owns its context, stream, CUDA graph, device memory and pinned memory, and frees them in
`close`. `frames` is the runner's pinned memory, which the caller fills. What `collect` returns is the runner's pinned
memory too, overwritten by the next launch: whoever keeps numbers copies them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import DeviceMemoryError, EngineError, InputError, PlanForeignError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.convergence import run_until_converged
from roadmask.engines.networks.graph_io import INPUT_TYPES, KEEPS, OUTPUT_TYPES
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.tensorrt.build import SIDE_MAX
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.tensorrt_module import listener

_ON_HOST = ("boxes", "scores", "labels", "masks", "found", "converged")
_MEMORY = re.compile("out of memory|could not be allocated", re.IGNORECASE)
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class LoadedPlan:
    """A plan in the GPU's memory; any number of runners share its weights."""

    tensorrt: Any
    """TensorRT's Python module."""
    engine: Any
    """TensorRT's engine."""
    runtime: Any
    """TensorRT's runtime, which must live as long as the engine."""
    heard: Any
    """Logger that collects TensorRT's messages, see `listener`."""
    batch: int
    """Batch size of the plan."""
    input_size: tuple[int, int]
    """Height and width of the network's input."""

    @classmethod
    def of(cls, content: bytes, tensorrt: Any) -> LoadedPlan:
        """Loads a plan whose bytes were checked against its manifest.

        Raises:
            DeviceMemoryError: the GPU's memory is full.
            PlanForeignError: TensorRT does not take it here, or it is not of this graph.
        """
        heard = listener(tensorrt)
        runtime = tensorrt.Runtime(heard)
        engine = runtime.deserialize_cuda_engine(content)
        if engine is None:
            if _MEMORY.search(heard.said()):
                raise DeviceMemoryError(
                    f"the GPU has no memory left for a plan of {len(content) / 1e6:.1f} MB ({heard.said()}): end other "
                    "programs that use the GPU, or build for a smaller batch or input size."
                )
            raise PlanForeignError(
                f"TensorRT {tensorrt.__version__} does not load the plan on this GPU: {heard.said()}. Build "
                "it again here, or for this chip, with `roadmask engine build`."
            )
        found = {name: np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name))).name for name in _names(engine)}
        wrong = [f"{k}: expected {v}, got {found.get(k, 'nothing')}" for k, v in (INPUT_TYPES | OUTPUT_TYPES).items()]
        wrong = [
            text for text, (k, v) in zip(wrong, (INPUT_TYPES | OUTPUT_TYPES).items(), strict=True) if found.get(k) != v
        ]
        if wrong:
            raise PlanForeignError(f"the plan was built from another graph ({'; '.join(wrong[:3])}): build it again.")
        frames, rows, columns = (tuple(engine.get_tensor_shape(name)) for name in ("frames", "rows", "columns"))
        return cls(tensorrt, engine, runtime, heard, frames[0], (rows[1], columns[1]))


def _names(engine: Any) -> list[str]:
    return [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]


def _context(plan: LoadedPlan, frame_size: tuple[int, int]) -> Any:
    strategies = getattr(plan.tensorrt, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        context = plan.engine.create_execution_context()
    else:
        # TensorRT for RTX would compile the kernels of a frame size in the background, and run others until then: those
        # would be captured.
        config = plan.engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        context = plan.engine.create_execution_context(config)
    if context is None:
        raise DeviceMemoryError(
            f"TensorRT made no execution context, usually because GPU memory is full: {plan.heard.said()}. Use a "
            "smaller batch or input size, or end other programs that use the GPU."
        )
    if not context.set_input_shape("frames", (plan.batch, *frame_size, 3)):
        raise EngineError(f"expected frames of at most {SIDE_MAX} pixels a side, got {frame_size}: shrink them.")
    return context


def _can_be_captured(context: Any, stream: Any) -> bool:
    """TensorRT for RTX knows; TensorRT has no such question, and captures what has no control flow, as this graph."""
    asked = getattr(context, "is_stream_capturable", None)
    return asked is None or bool(asked(int(stream)))


class PlanRunner:
    """Runs a plan on frames of one size, on a stream of its own.

    Args:
        plan: to run.
        frame_size: height and width of every frame.
        classes: float (C,), see `Inputs` of graph_io.py.
        score_min: only detections above this score.
        cuda: the GPU.

    Raises:
        DeviceMemoryError: the GPU's memory is full; nothing stays allocated.
        EngineError: the plan takes no frames of this size, or CUDA failed.
    """

    def __init__(
        self, plan: LoadedPlan, frame_size: tuple[int, int], classes: NDArray[np.float32], score_min: float, cuda: Cuda
    ) -> None:
        self._plan, self._cuda, self._letterbox = plan, cuda, Letterbox.fit(frame_size, plan.input_size)
        self._device: dict[str, int] = {}
        self._pinned: dict[str, tuple[int, NDArray[Any]]] = {}
        self._held = ExitStack()
        try:
            self._stream = self._hold("StreamDestroy", cuda.stream())
            self._context = _context(plan, frame_size)
            for name in (*INPUT_TYPES, *OUTPUT_TYPES):
                self._allocate(name)
            fixed: dict[str, Any] = {
                "classes": classes,
                "score_min": [score_min],
                **vars(ResizePlan.of(self._letterbox)),
            }
            for name in INPUT_TYPES:
                self._pinned[name][1][...] = fixed.get(name, 1 if name in KEEPS else 0)
                self._upload(name)
            self._enqueue()  # TensorRT prepares what it may not prepare while it is captured
            cuda.call("StreamSynchronize", self._stream)
            if _can_be_captured(self._context, self._stream):
                self._graph = self._hold("GraphExecDestroy", cuda.capture(self._stream, self._enqueue))
            else:
                _LOG.warning("TensorRT cannot capture this plan as a CUDA graph: its steps are launched one by one.")
        except BaseException as error:
            try:
                self.close()
            except EngineError as another:
                error.add_note(f"Nor could everything be freed: {another}")
            raise

    @property
    def letterbox(self) -> Letterbox:
        """How a frame lies in the network's input."""
        return self._letterbox

    def launch(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        """Copies frames, at most the plan's batch, and starts the GPU; returns before it is done.

        Raises:
            InputError: too many frames, or of another size or type than the runner was made for.
        """
        memory = self._pinned["frames"][1]
        if not 0 < len(frames) <= len(memory):
            raise InputError(f"expected 1 to {len(memory)} frames, got {len(frames)}.")
        for place, frame in enumerate(frames):
            if frame.shape != memory.shape[1:]:
                raise InputError(f"expected frames of the shape {memory.shape[1:]}, got {frame.shape}.")
            if frame.dtype != np.uint8:
                raise InputError(f"expected frames of uint8, got {frame.dtype}.")
            memory[place] = frame
        self._count = len(frames)
        self._start()

    def collect(self) -> dict[str, NDArray[Any]]:
        """Waits for the launch and returns its outputs, in the runner's memory; runs again until NMS has converged.

        Only the rows of the frames that were launched mean anything. Those behind them are of frames of before, which
        nobody waits for: on black ones NMS would need a second run, as all anchors tie.
        """
        try:
            run_until_converged(self._await, self._resume, (self._pinned[name][1].shape[-1] for name in KEEPS))
        finally:
            if self._resumed:
                self._restart_nms()
        return {name: self._pinned[name][1] for name in _ON_HOST}

    def repeat(self) -> None:
        """Runs the last frames again and waits; for measuring."""
        self._start()
        self._cuda.call("StreamSynchronize", self._stream)

    def close(self) -> None:
        """Frees everything, even if freeing a part fails; safe to call twice.

        Raises:
            EngineError: CUDA failed.
        """
        try:
            with self._held:
                if self._stream is not None:
                    self._cuda.call("StreamSynchronize", self._stream)
        finally:
            self._stream = self._graph = self._context = None
            self._device.clear()
            self._pinned.clear()

    _count = 0
    _resumed = False
    _stream: Any = None
    _context: Any = None
    _graph: Any = None

    def _allocate(self, name: str) -> None:
        shape, dtype = tuple(self._context.get_tensor_shape(name)), np.dtype((INPUT_TYPES | OUTPUT_TYPES)[name])
        size = int(np.prod(shape)) * dtype.itemsize
        self._device[name] = int(self._hold("Free", self._cuda.call("Malloc", size)))
        self._context.set_tensor_address(name, self._device[name])
        if name in INPUT_TYPES or name in _ON_HOST:
            self._pinned[name] = self._cuda.pinned(shape, dtype)
            self._hold("FreeHost", self._pinned[name][0])

    def _hold(self, free: str, held: Any) -> Any:
        """Returns what was allocated, which `close` frees by this call."""
        self._held.callback(self._cuda.call, free, held)
        return held

    def _start(self) -> None:
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.call("GraphLaunch", self._graph, self._stream)

    def _await(self) -> bool:
        """Waits for a run, and returns whether its NMS converged for every frame."""
        self._cuda.call("StreamSynchronize", self._stream)
        return bool(self._pinned["converged"][1][: self._count].all())

    def _resume(self) -> None:
        """Starts a run whose NMS begins where that of the last one stopped."""
        for name in KEEPS:
            size = self._pinned[name][1].nbytes
            self._cuda.copy(self._device[name], self._device[f"{name}_out"], size, "DeviceToDevice", self._stream)
        self._resumed = True
        self._start()

    def _restart_nms(self) -> None:
        self._resumed = False
        for name in KEEPS:
            self._upload(name)  # ones

    def _upload(self, name: str) -> None:
        address, array = self._pinned[name]
        self._cuda.copy(self._device[name], address, array.nbytes, "HostToDevice", self._stream)

    def _enqueue(self) -> None:
        self._upload("frames")
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(
                f"TensorRT refused to run the plan: {self._plan.heard.said()}. Build it again, or choose "
                "another engine."
            )
        for name in _ON_HOST:
            address, array = self._pinned[name]
            self._cuda.copy(address, self._device[name], array.nbytes, "DeviceToHost", self._stream)
