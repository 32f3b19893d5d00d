"""What of NVIDIA's is installed on this machine, for `roadmask doctor`."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.extras import pip_command
from roadmask.engines.load import EngineStatus, torch_sees_cuda
from roadmask.engines.tensorrt.device import describe_gpu
from roadmask.engines.tensorrt.tensorrt_module import Flavour, load_tensorrt, package_of, targets


def gpu_report() -> list[EngineStatus]:
    """Returns a row for each part that building, judging and running plans takes; nothing is loaded onto a GPU."""
    return [
        _gpu(),
        _tensorrt("tensorrt", "TensorRT"),
        _tensorrt("tensorrt-rtx", "TensorRT for RTX"),
        _torch_cuda(),
        _onnxruntime(),
    ]


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
    return EngineStatus(name, True, detail if here in known else f"{detail}: not for the GPU here, {here}", "")


def _torch_cuda() -> EngineStatus:
    try:
        found = f"torch {version('torch')}"
    except PackageNotFoundError:
        return EngineStatus("torch-cuda", False, "torch is not installed", pip_command("torch"))
    try:
        gpu = describe_gpu("torch-cuda")
    except GpuMissingError:
        return EngineStatus("torch-cuda", False, f"{found}; there is no NVIDIA GPU here", "")
    except EngineError:  # torch asks CUDA itself
        gpu = None
    if not torch_sees_cuda():
        detail = f"{found} does not see the GPU: it is built for CPUs, or for another driver's CUDA"
        return EngineStatus("torch-cuda", False, detail, "")
    lacks = [what for what, there in (("Triton", find_spec("triton")), ("a C compiler", _compiler())) if not there]
    slow = f"; half as fast for want of {' and '.join(lacks)}" if lacks else ""
    return EngineStatus("torch-cuda", True, f"{found}{f' on {gpu.chip}' if gpu else ''}{slow}", "")


def _compiler() -> str | None:
    """Returns what Triton would compile its launchers with."""
    return os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")


def _onnxruntime() -> EngineStatus:
    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        return EngineStatus("ONNX Runtime", False, "judges plans on a CPU, makes int8", pip_command("tensorrt-rtx"))
    return EngineStatus("ONNX Runtime", True, f"{found}, judges plans on a CPU, makes int8", "")
