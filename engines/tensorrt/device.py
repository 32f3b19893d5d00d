"""The GPU of this machine, as CUDA describes it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from roadmask.engines.errors import DriverTooOldError, EngineError, GpuMissingError


@dataclass(frozen=True)
class Gpu:
    """The GPU that plans built on this machine depend on."""

    chip: str
    """Name and compute capability of the GPU, such as `NVIDIA H200 sm90`."""
    driver: str
    """CUDA version that the driver supports, such as 13.0."""

    @property
    def target(self) -> str:
        """Compute capability as plans name it, such as sm89."""
        return self.chip.rsplit(" ", 1)[-1]


def describe_gpu(flavour: str) -> Gpu:
    """Returns the GPU that plans are built for here.

    Raises:
        GpuMissingError: there is none; the message names the way out.
        DriverTooOldError: it is too old for the CUDA that is installed.
        EngineError: cuda-bindings is not installed, or CUDA fails.
    """
    try:
        runtime: Any = import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise EngineError(
            "describing the GPU needs cuda-bindings, which is not installed: pip install cuda-bindings"
        ) from error
    status, count = runtime.cudaGetDeviceCount()
    no_driver = runtime.cudaError_t.cudaErrorInsufficientDriver  # what CUDA says where there is no driver at all, too
    if status == no_driver and runtime.cudaDriverGetVersion()[1] > 0:
        wanted, found = runtime.cudaRuntimeGetVersion()[1], runtime.cudaDriverGetVersion()[1]
        raise DriverTooOldError(
            f"expected a driver for CUDA {_version(wanted)}, got one for CUDA {_version(found)}: update the NVIDIA "
            "driver."
        )
    if status not in {runtime.cudaError_t.cudaSuccess, runtime.cudaError_t.cudaErrorNoDevice, no_driver}:
        raise EngineError(_unwell("cudaGetDeviceCount", status))
    if status != runtime.cudaError_t.cudaSuccess or not count:
        raise GpuMissingError(
            f"{flavour} for this machine needs an NVIDIA GPU, and there is none: build ahead of time with "
            "--flavour tensorrt-rtx --target sm89 (or the chip that the plan will run on)."
        )
    status, properties = runtime.cudaGetDeviceProperties(0)
    if status != runtime.cudaError_t.cudaSuccess:
        raise EngineError(_unwell("cudaGetDeviceProperties", status))
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    return Gpu(f"{name} sm{properties.major}{properties.minor}", _version(runtime.cudaDriverGetVersion()[1]))


def _unwell(call: str, status: object) -> str:
    return f"{call} failed with {status}: `nvidia-smi` shows whether the GPU is well."


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
