"""Whether torch runs on the GPU of this machine, for `roadmask doctor` and `auto`. Imports torch only if asked."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from roadmask.engines.errors import EngineError, GpuMissingError
from roadmask.engines.extras import pip_command
from roadmask.engines.status import EngineStatus
from roadmask.engines.tensorrt.device import describe_gpu


def torch_sees_cuda() -> bool:
    """Returns whether torch, which is installed, was built for CUDA and can use the GPU here."""
    import torch  # noqa: PLC0415 - takes seconds

    return torch.cuda.is_available()


def engine_status() -> list[EngineStatus]:
    """Returns one row: the version of torch, the GPU, and what torch lacks to compile for it."""
    try:
        found = f"torch {version('torch')}"
    except PackageNotFoundError:
        return [EngineStatus("torch-cuda", False, "torch is not installed", pip_command("torch"))]
    try:
        gpu = describe_gpu("torch-cuda")
    except GpuMissingError:
        return [EngineStatus("torch-cuda", False, f"{found}; there is no NVIDIA GPU here", "")]
    except EngineError:  # torch asks CUDA itself
        gpu = None
    if not torch_sees_cuda():
        detail = f"{found} does not see the GPU: it was built for CPUs, or for the CUDA of another driver"
        return [EngineStatus("torch-cuda", False, detail, "")]
    lacks = [what for what, there in (("Triton", find_spec("triton")), ("a C compiler", _compiler())) if not there]
    slow = f"; at half the speed without {' and '.join(lacks)}" if lacks else ""
    return [EngineStatus("torch-cuda", True, f"{found}{f' on {gpu.chip}' if gpu else ''}{slow}", "")]


def _compiler() -> str | None:
    """Returns what Triton would compile its launchers with."""
    return os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
