"""A GPU that is played: CUDA on the host's memory, and a TensorRT whose plans are ONNX files for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_uint8, memmove
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from roadmask.engines.tensorrt.build import SIDE_MAX

OK, NO_MEMORY, LOST, NOT_WHILE_CAPTURED, CAPTURE_BROKEN = 0, 2, 719, 900, 901


class ScriptedCuda:
    """Plays `cuda.bindings.runtime`: allocations are arrays, what is captured is replayed when its graph is launched.

    Args:
        allocations_max: device allocations that succeed.
    """

    cudaError_t = SimpleNamespace(cudaSuccess=OK, cudaErrorMemoryAllocation=NO_MEMORY)  # noqa: N815 - CUDA's names
    cudaMemcpyKind = SimpleNamespace(  # noqa: N815
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815

    def __init__(self, allocations_max: int = 10**6) -> None:
        self.device: dict[int, NDArray[np.uint8]] = {}
        self.host: dict[int, NDArray[np.uint8]] = {}
        self.streams: set[int] = set()
        self.graphs: set[int] = set()
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.capturing: int | None = None
        self._allocations_max = allocations_max
        self._recorded: list[Callable[[], None]] = []
        self._capture_broken = False
        self._launches: dict[int, list[Callable[[], None]]] = {}
        self._number = 0

    @property
    def holds(self) -> int:
        """Allocations, streams and graphs that nobody has given back."""
        return sum(map(len, (self.device, self.host, self.streams, self.graphs)))

    def __getattr__(self, name: str) -> Any:
        call = getattr(type(self), f"_{name.removeprefix('cuda')}")

        def counted(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if name in self.fail:
                return (LOST,)
            result: tuple[Any, ...] = call(self, *arguments)
            return result

        return counted

    def enqueue(self, stream: int, work: Callable[[], None]) -> None:
        assert stream in self.streams
        if self.capturing == stream:
            self._recorded.append(work)
        else:
            work()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def break_capture(self) -> bool:
        """Returns whether something is being captured, which then comes to nothing."""
        self._capture_broken = self.capturing is not None
        return self._capture_broken

    def _Malloc(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        if self.break_capture():
            return (NOT_WHILE_CAPTURED,)
        if len(self.device) >= self._allocations_max:
            return NO_MEMORY, 0
        memory = np.zeros(size, np.uint8)
        self.device[memory.ctypes.data] = memory
        return OK, memory.ctypes.data

    def _HostAlloc(self, size: int, _flags: int) -> tuple[Any, ...]:  # noqa: N802
        memory = np.zeros(size, np.uint8)
        self.host[memory.ctypes.data] = memory
        return OK, memory.ctypes.data

    def _Free(self, address: int) -> tuple[Any, ...]:  # noqa: N802
        del self.device[address]
        return (OK,)

    def _FreeHost(self, address: int) -> tuple[Any, ...]:  # noqa: N802
        del self.host[address]
        return (OK,)

    def _StreamCreateWithFlags(self, _flags: int) -> tuple[Any, ...]:  # noqa: N802
        stream = self._next()
        self.streams.add(stream)
        return OK, stream

    def _StreamDestroy(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        self.streams.remove(stream)
        return (OK,)

    def _StreamSynchronize(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        assert stream in self.streams
        return (NOT_WHILE_CAPTURED if self.break_capture() else OK,)

    def _StreamBeginCapture(self, stream: int, _mode: int) -> tuple[Any, ...]:  # noqa: N802
        self.capturing, self._recorded, self._capture_broken = stream, [], False
        return (OK,)

    def _StreamEndCapture(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        assert self.capturing == stream
        self.capturing = None
        if self._capture_broken:
            return CAPTURE_BROKEN, 0
        self.graphs.add(graph := self._next())
        self._launches[graph] = self._recorded
        return OK, graph

    def _GraphInstantiate(self, graph: int, _flags: int) -> tuple[Any, ...]:  # noqa: N802
        self.graphs.add(launched := self._next())
        self._launches[launched] = self._launches[graph]
        return OK, launched

    def _GraphDestroy(self, graph: int) -> tuple[Any, ...]:  # noqa: N802
        self.graphs.remove(graph)
        return (OK,)

    def _GraphExecDestroy(self, graph: int) -> tuple[Any, ...]:  # noqa: N802
        self.graphs.remove(graph)
        return (OK,)

    def _GraphLaunch(self, graph: int, stream: int) -> tuple[Any, ...]:  # noqa: N802
        for work in self._launches[graph]:
            self.enqueue(stream, work)
        return (OK,)

    def _MemcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> tuple[Any, ...]:  # noqa: N802
        places = {1: (self.device, self.host), 2: (self.host, self.device), 3: (self.device, self.device)}[kind]
        for address, memory in ((to, places[0]), (source, places[1])):
            assert memory[address].nbytes == size, "copies fill what was allocated, on the side that they say"
        self.enqueue(stream, lambda: memmove(to, source, size) and None)
        return (OK,)


class ScriptedTensorRt:
    """Plays TensorRT's module: a plan is an ONNX file's bytes; one that is none is refused as a foreign plan is."""

    __version__ = "10.13"

    def __init__(self, cuda: ScriptedCuda, *, says: str = "a plan begins otherwise") -> None:
        self.cuda = cuda
        self.contexts: list[_Context] = []
        self.refuse_in_capture = False
        self._says = says

    class ILogger:
        ERROR, INTERNAL_ERROR, INFO = range(3)

    def nptype(self, dtype: np.dtype[Any]) -> type:
        return dtype.type

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        def deserialize(content: bytes) -> Any:
            try:
                session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            except Exception:
                logger.log(logger.INFO, "loading")
                logger.log(logger.ERROR, self._says)
                return None
            return _Engine(self, session)

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


class ScriptedTensorRtForRtx(ScriptedTensorRt):
    """Plays TensorRT for RTX, which compiles a frame size's kernels when it is told to, and says what can be captured.

    Args:
        capturable: what it says.
    """

    __version__ = "1.7"
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(LAZY="lazy", EAGER="eager")

    def __init__(self, cuda: ScriptedCuda, *, capturable: bool = True) -> None:
        super().__init__(cuda)
        self.capturable = capturable


_TYPES = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(int64)": np.int64}


class _Engine:
    def __init__(self, module: ScriptedTensorRt, session: Any) -> None:
        self.module, self.session = module, session
        self.tensors = {each.name: each for each in (*session.get_inputs(), *session.get_outputs())}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return np.dtype(_TYPES[self.tensors[name].type])

    def get_tensor_shape(self, name: str) -> list[int]:
        return [side if isinstance(side, int) else -1 for side in self.tensors[name].shape]

    def create_runtime_config(self) -> SimpleNamespace:
        assert isinstance(self.module, ScriptedTensorRtForRtx), "TensorRT 10 has one, without what is set here"
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="lazy")

    def create_execution_context(self, config: SimpleNamespace | None = None) -> Any:
        context = _RtxContext(self, config) if isinstance(self.module, ScriptedTensorRtForRtx) else _Context(self)
        self.module.contexts.append(context)
        return context


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine: Any = engine
        self.shapes = {name: engine.get_tensor_shape(name) for name in engine.tensors}
        self.addresses: dict[str, int] = {}
        self.runs = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if max(shape) > SIDE_MAX:
            return False
        self.shapes[name] = list(shape)
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        return self.shapes[name]

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert set(self.addresses) == set(self.engine.tensors)
        if self.engine.module.refuse_in_capture and self.engine.module.cuda.break_capture():
            return False
        self.engine.module.cuda.enqueue(stream, self._run)
        return True

    def _run(self) -> None:
        self.runs += 1
        session = self.engine.session
        names = [each.name for each in session.get_outputs()]
        found = session.run(names, {each.name: self._array(each.name) for each in session.get_inputs()})
        for name, values in zip(names, found, strict=True):
            self._array(name)[...] = values

    def _array(self, name: str) -> NDArray[Any]:
        dtype = np.dtype(self.engine.get_tensor_dtype(name))
        size = int(np.prod(self.shapes[name])) * dtype.itemsize
        memory = (c_uint8 * size).from_address(self.addresses[name])
        return np.frombuffer(memory, dtype).reshape(self.shapes[name])


class _RtxContext(_Context):
    def __init__(self, engine: _Engine, config: SimpleNamespace | None) -> None:
        super().__init__(engine)
        self.strategy = "lazy" if config is None else config.dynamic_shapes_kernel_specialization_strategy

    def is_stream_capturable(self, stream: int) -> bool:
        assert stream in self.engine.module.cuda.streams
        return bool(self.engine.module.capturable)
