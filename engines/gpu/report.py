"""What of NVIDIA's is installed on this machine, for `roadmask doctor`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.extras import pip_command
from roadmask.engines.gpu.device import describe_gpu
from roadmask.engines.gpu.tensorrt_module import Flavour, load_tensorrt, package_of, targets
from roadmask.engines.load import EngineStatus


def gpu_report() -> list[EngineStatus]:
    """Returns a row for each part that building, judging and running plans takes; nothing is loaded onto a GPU."""
    return [_gpu(), _tensorrt("tensorrt", "TensorRT"), _tensorrt("tensorrt-rtx", "TensorRT for RTX"), _onnxruntime()]


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


def _onnxruntime() -> EngineStatus:
    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        return EngineStatus("ONNX Runtime", False, "judges plans on a CPU, makes int8", pip_command("tensorrt-rtx"))
    return EngineStatus("ONNX Runtime", True, f"{found}, judges plans on a CPU, makes int8", "")
