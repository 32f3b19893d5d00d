"""Which GPU and which TensorRT this machine has, for `roadmask doctor`."""

from __future__ import annotations

from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.status import EngineStatus
from roadmask.engines.tensorrt.device import describe_gpu
from roadmask.engines.tensorrt.tensorrt_module import Flavour, load_tensorrt, package_of, targets


def engine_status() -> list[EngineStatus]:
    """Returns a row for the GPU and for each TensorRT; nothing is loaded onto the GPU."""
    return [_gpu(), _tensorrt("tensorrt", "TensorRT"), _tensorrt("tensorrt-rtx", "TensorRT for RTX")]


def _gpu() -> EngineStatus:
    try:
        gpu = describe_gpu("tensorrt")
    except GpuMissingError:
        return EngineStatus("CUDA", False, "there is no NVIDIA GPU here; plans can be built ahead for one", "")
    except EngineError as error:
        return EngineStatus("CUDA", False, str(error), "")
    return EngineStatus("CUDA", True, f"{gpu.chip}, the driver knows CUDA {gpu.driver}", "")


def _tensorrt(flavour: Flavour, name: str) -> EngineStatus:
    try:
        module = load_tensorrt(flavour)
    except EngineError as error:
        return EngineStatus(name, False, str(error).partition(": pip install")[0], f"pip install {package_of(flavour)}")
    if flavour == "tensorrt":
        return EngineStatus(name, True, f"{module.__version__}, builds plans for the GPU here", "")
    known = targets(module)
    detail = f"{module.__version__}, builds plans for {', '.join(known)}"
    try:
        here = describe_gpu(flavour).target
    except EngineError:
        return EngineStatus(name, True, detail, "")
    return EngineStatus(
        name, True, detail if here in known else f"{detail}: not for the GPU of this machine, {here}", ""
    )
