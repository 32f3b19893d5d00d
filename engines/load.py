"""Builds a segmenter, and says which engines work on this machine."""

# ruff: noqa: PLC0415 - an engine is imported only when it is chosen

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from roadmask.engines.classes import DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import ConfigError, EngineError
from roadmask.engines.extras import missing_package, pip_command
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.networks.weights import Weights, find_weights
from roadmask.engines.segmenter import Precision, Segmenter

if TYPE_CHECKING:
    from roadmask.engines.networks.typed_onnx import GpuPrecision

Engine = Literal["auto", "openvino", "torch", "torch-cuda", "tensorrt"]
SCORE_MIN_FLOOR = 0.05
"""The networks rank candidates from here on; below lies noise, and what torchvision drops by default."""
_LOG = logging.getLogger("roadmask")


def load_segmenter(
    weights: str | Path = "lite",
    *,
    engine: Engine = "auto",
    classes: Sequence[str] = DEFAULT_CLASSES,
    score_min: float = 0.5,
    input_size: str | tuple[int, int] | None = None,
    threads: int | None = None,
    precision: Precision = "auto",
) -> Segmenter:
    """Builds a segmenter.

    Args:
        weights: `lite`, `resnet50`, `resnet50_v2`, or a .safetensors, .pt or .pth file of one of these architectures.
        engine: `openvino`; `torch` (the reference, slow); `tensorrt` (plans on an NVIDIA GPU, see `roadmask engine`);
            `torch-cuda` (the same graph there without TensorRT); or `auto`: on a GPU TensorRT if there is a plan, else
            torch-cuda if torch runs there; on a CPU OpenVINO, or torch where only that is installed.
        classes: names of what to report, see `CLASS_NAMES`.
        score_min: instances below this score are not reported, 0.05 to 1. At 0.5 lite rarely reports what is not
            there; trackers that can use doubtful instances may ask for less.
        input_size: height and width of the network's input as `HxW` or two numbers, multiples of 32; chosen by each
            image's aspect by default.
        threads: threads of engines on the CPU, one for each physical core by default; those on a GPU take no notice.
        precision: `bf16`, `fp32`, or `auto`: bf16 where the processor multiplies it in hardware. Results in bf16 differ
            a little between kinds of processors. `int8` costs a little accuracy, and pays on processors that do not
            multiply bf16. torch knows fp32 alone, TensorRT fp16 (its `auto`), int8 and fp32.

    Returns:
        A segmenter. Its first image of a new shape may take half a minute once, see `Segmenter.warm_up`.

    Raises:
        ConfigError: an argument is not understood.
        WeightsError: the weights cannot be used.
        EngineError: a package is missing or the engine cannot run here.
    """
    if not SCORE_MIN_FLOOR <= score_min <= 1:
        raise ConfigError(f"expected score_min from {SCORE_MIN_FLOOR} to 1, got {score_min}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"expected at least one thread, got {threads}.")
    if precision not in get_args(Precision):
        raise ConfigError(f"expected the precision {', '.join(get_args(Precision))}, got {precision!r}.")
    shape = None if input_size is None else parse_input_size(input_size)
    # A GPU is asked for its plans of these weights, but a word that is not understood is said before all else.
    if engine not in get_args(Engine):
        raise ConfigError(f"expected the engine {', '.join(get_args(Engine)[:-1])} or tensorrt, got {engine!r}.")
    found = find_weights(weights)
    chosen, arithmetic = _choose(engine, found, shape, precision)
    knows = _PRECISIONS[chosen]
    if arithmetic not in knows:
        other = "choose the engine openvino for bf16 or int8, tensorrt or torch-cuda for fp16, tensorrt for int8"
        raise ConfigError(f"expected {' or '.join(knows[1:])} for the engine {chosen}, got {arithmetic}: {other}.")
    wanted = category_ids(classes, [category for category in found.architecture.category_ids if category])
    segmenter: Segmenter
    if chosen == "openvino":
        from roadmask.engines.openvino.segmenter import OpenVinoSegmenter

        segmenter = OpenVinoSegmenter(
            found, wanted, score_min=score_min, input_size=shape, threads=threads, precision=arithmetic
        )
    elif chosen == "tensorrt":
        from roadmask.engines.tensorrt.opening import open_tensorrt

        kinds: dict[str, GpuPrecision] = {"fp32": "fp32", "int8": "int8"}
        segmenter = open_tensorrt(
            found, wanted, score_min=score_min, input_size=shape, precision=kinds.get(arithmetic, "fp16")
        )
    elif chosen == "torch-cuda":
        from roadmask.engines.torch.cuda_segmenter import TorchCudaSegmenter

        segmenter = TorchCudaSegmenter(
            found,
            wanted,
            score_min=score_min,
            input_size=shape,
            precision="fp32" if arithmetic == "fp32" else "fp16",
            batches=(1, 4),  # one camera does not pay for four, and four share a batch
        )
    else:
        from roadmask.engines.torch.segmenter import TorchSegmenter

        segmenter = TorchSegmenter(found, wanted, score_min=score_min, input_size=shape, threads=threads)
    return segmenter


def _choose(
    engine: str, weights: Weights, shape: tuple[int, int] | None, precision: Precision
) -> tuple[str, Precision]:
    """Returns the engine and its precision; `auto` says what it took and why."""
    if engine == "tensorrt":
        return engine, precision
    missing = {name: [p for p in packages if find_spec(p) is None] for name, packages in _PACKAGES.items()}
    if engine != "auto":
        if missing[engine]:
            raise missing_package(missing[engine][0], f"the engine {engine}", extra=_EXTRAS[engine])
        return engine, precision
    chosen = None
    if has_nvidia_driver():
        chosen = _choose_for_gpu(weights, shape, precision, missing)
    return chosen or (_choose_for_cpu(missing), precision)


_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def has_nvidia_driver() -> bool:
    """Returns whether this machine may have a GPU of NVIDIA's: if not, nothing of CUDA is imported."""
    return _NVIDIA_DRIVER.exists()


def torch_sees_cuda() -> bool:
    """Returns whether torch, which is installed, was built for CUDA and can use the GPU here."""
    import torch

    return torch.cuda.is_available()


def _choose_for_gpu(
    weights: Weights, shape: tuple[int, int] | None, precision: Precision, missing: Mapping[str, Sequence[str]]
) -> tuple[str, Precision] | None:
    """Returns the engine for the GPU here and its precision, or None, and says which and why."""
    from roadmask.engines.tensorrt.device import describe_gpu
    from roadmask.engines.tensorrt.opening import choose_precision

    try:
        gpu = describe_gpu("tensorrt")
        planned, left_out = choose_precision(weights, shape, gpu, precision)
        if planned is not None:
            _LOG.info("engine tensorrt: there is a %s plan for %s", planned, gpu.chip)
            return "tensorrt", planned
        wanted = "" if precision == "auto" else f" {precision}"
        reasons = "".join(f"; {reason}" for reason in left_out)
        why = f"no plan of {weights.name}{wanted} for {gpu.chip}{reasons}; see roadmask engine build"
    except EngineError as error:  # no cuda-bindings, or CUDA is not well: torch brings its own
        why = str(error)
    if precision in _PRECISIONS["torch-cuda"] and not missing["torch-cuda"] and torch_sees_cuda():
        _LOG.info("engine torch-cuda: %s; compiling for each size of frames takes half a minute once", why)
        return "torch-cuda", precision
    _LOG.warning("the GPU is not used: %s", why)
    return None


def _choose_for_cpu(missing: Mapping[str, Sequence[str]]) -> str:
    if not missing["openvino"]:
        _LOG.info("engine openvino: the fastest on a CPU")
        return "openvino"
    if not missing["torch"]:
        _LOG.warning("engine torch: openvino is not installed, which is several times faster: %s", pip_command())
        return "torch"
    raise missing_package("openvino", "segmenting images")


_PRECISIONS: dict[str, tuple[str, ...]] = {
    "openvino": ("auto", "bf16", "fp32", "int8"),
    "torch": ("auto", "fp32"),
    "tensorrt": ("auto", "fp16", "int8", "fp32"),
    "torch-cuda": ("auto", "fp16", "fp32"),
}
_PACKAGES = {"openvino": ("openvino",), "torch": ("torch", "torchvision"), "torch-cuda": ("torch", "torchvision")}
_EXTRAS: dict[str, str | None] = {"openvino": None, "torch": "torch", "torch-cuda": "torch"}


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine works on this machine."""

    engine: str
    works: bool
    detail: str
    """Versions and arithmetic, or why it does not work."""
    install: str
    """The command that installs what is missing; empty if nothing is."""


def engine_report() -> list[EngineStatus]:
    """Returns one row for each engine and one for the export of new graphs, without loading any weights."""
    return [_openvino_status(), _torch_status("torch", ("torch", "torchvision")), _export_status()]


def _openvino_status() -> EngineStatus:
    if find_spec("openvino") is None:
        return EngineStatus("openvino", False, "openvino is not installed", pip_command())
    try:
        from roadmask.engines.openvino.segmenter import describe_device

        return EngineStatus("openvino", True, describe_device(), "")
    except (ImportError, RuntimeError, OSError) as error:  # a package that does not fit the machine
        return EngineStatus("openvino", False, f"openvino does not run here: {error}", pip_command())


def _export_status() -> EngineStatus:
    return _torch_status("export to openvino", ("torch", "torchvision", "onnx", "onnxscript"))


def _torch_status(name: str, packages: tuple[str, ...]) -> EngineStatus:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return EngineStatus(name, False, f"{package} is not installed", pip_command("torch"))
    return EngineStatus(name, True, ", ".join(found), "")
