"""Chooses the engine of `auto`: the fastest that runs on this machine."""

from __future__ import annotations

import logging
from pathlib import Path

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package, pip_command
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Precision
from roadmask.engines.table import ENGINES
from roadmask.engines.torch_cuda.status import torch_sees_cuda

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_LOG = logging.getLogger("roadmask")


def choose_engine(weights: Weights, input_size: tuple[int, int] | None, precision: Precision) -> tuple[str, Precision]:
    """Returns the engine for this machine and its precision, and logs which and why.

    Args:
        weights: that it is to run: TensorRT needs a plan of them.
        input_size: height and width of the network's input, or None for any.
        precision: that was asked for; `auto` leaves the choice to the engine.

    Raises:
        EngineError: no engine is installed.
    """
    chosen = _choose_for_gpu(weights, input_size, precision) if has_nvidia_driver() else None
    return chosen or (_choose_for_cpu(), precision)


def has_nvidia_driver() -> bool:
    """Returns whether this machine may have an NVIDIA GPU: if not, nothing of CUDA is imported."""
    return _NVIDIA_DRIVER.exists()


def _choose_for_gpu(
    weights: Weights, input_size: tuple[int, int] | None, precision: Precision
) -> tuple[str, Precision] | None:
    from roadmask.engines.tensorrt.device import describe_gpu  # noqa: PLC0415 - only where there is a GPU
    from roadmask.engines.tensorrt.opening import choose_precision  # noqa: PLC0415 - only where there is a GPU

    try:
        gpu = describe_gpu("tensorrt")
        planned, left_out = choose_precision(weights, input_size, gpu, precision)
        if planned is not None:
            _LOG.info("engine tensorrt: there is a %s plan for %s", planned, gpu.chip)
            return "tensorrt", planned
        wanted = "" if precision == "auto" else f" {precision}"
        reasons = "".join(f"; {reason}" for reason in left_out)
        why = f"no plan of {weights.name}{wanted} for {gpu.chip}{reasons}; see roadmask engine build"
    except EngineError as error:  # no cuda-bindings, or CUDA does not work: torch brings its own
        why = str(error)
    row = ENGINES["torch-cuda"]
    if precision in row.precisions and not row.missing_packages() and torch_sees_cuda():
        _LOG.info("engine torch-cuda: %s; compiling for each frame size takes half a minute once", why)
        return "torch-cuda", precision
    _LOG.warning("the GPU is not used: %s", why)
    return None


def _choose_for_cpu() -> str:
    if not ENGINES["openvino"].missing_packages():
        _LOG.info("engine openvino: the fastest on a CPU")
        return "openvino"
    if not ENGINES["torch"].missing_packages():
        _LOG.warning("engine torch: openvino is not installed, which is several times faster: %s", pip_command())
        return "torch"
    raise missing_package("openvino", "segmenting images")
