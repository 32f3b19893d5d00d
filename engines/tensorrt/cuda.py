"""The calls of CUDA that running a plan needs, through cuda-bindings, with roadmask's errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ctypes import c_uint8
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from roadmask.engines.errors import DeviceMemoryError, EngineError


class Cuda:
    """CUDA's runtime on the first GPU.

    Args:
        runtime: `cuda.bindings.runtime`, or what plays it in a test.

    Raises:
        EngineError: cuda-bindings is not installed.
    """

    def __init__(self, runtime: Any = None) -> None:
        if runtime is None:
            try:
                runtime = import_module("cuda.bindings.runtime")
            except ImportError as error:
                raise EngineError(
                    "running a plan needs cuda-bindings, which is not installed: pip install cuda-bindings"
                ) from error
        self._runtime = runtime

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls `cuda<name>` and returns its one result, or None.

        Raises:
            DeviceMemoryError: the GPU's memory is full.
            EngineError: CUDA failed otherwise.
        """
        status, *results = getattr(self._runtime, f"cuda{name}")(*arguments)
        if status == self._runtime.cudaError_t.cudaErrorMemoryAllocation:
            raise DeviceMemoryError(
                f"the GPU has no memory left for cuda{name}({', '.join(map(str, arguments))}): use a smaller batch or "
                "input size, or end other programs that use the GPU."
            )
        if status != self._runtime.cudaError_t.cudaSuccess:
            raise EngineError(f"cuda{name} failed with {status}: check the GPU with `nvidia-smi`.")
        return results[0] if results else None

    def stream(self) -> Any:
        """Returns a new stream that does not wait for the default one; the caller destroys it."""
        return self.call("StreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[int, NDArray[Any]]:
        """Returns the address of new pinned memory and an array on it; the caller frees it."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self.call("HostAlloc", size, 0))
        memory = (c_uint8 * size).from_address(address)
        return address, np.frombuffer(memoryview(memory), np.dtype(dtype)).reshape(shape)

    def copy(self, to: int, source: int, size: int, kind: str, stream: Any) -> None:
        """Enqueues a copy; `kind` is HostToDevice, DeviceToHost or DeviceToDevice."""
        self.call("MemcpyAsync", to, source, size, getattr(self._runtime.cudaMemcpyKind, f"cudaMemcpy{kind}"), stream)

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Any:
        """Records what `enqueue` puts on a stream instead of running it; returns the graph, which the caller destroys.

        Raises:
            EngineError: `enqueue` failed, or what it enqueued cannot be captured; the stream runs on as before.
        """
        self.call("StreamBeginCapture", stream, self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            enqueue()
        except BaseException:
            # A stream that is captured for ever cannot even be waited for; that this graph is broken is no news.
            with suppress(EngineError):
                broken = self.call("StreamEndCapture", stream)
                if broken:
                    self.call("GraphDestroy", broken)
            raise
        captured = self.call("StreamEndCapture", stream)
        try:
            return self.call("GraphInstantiate", captured, 0)
        finally:
            self.call("GraphDestroy", captured)
