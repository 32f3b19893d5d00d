"""Builds a segmenter, and says which engines work on this machine."""

# ruff: noqa: PLC0415 - an engine is imported only when it is chosen

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from roadmask.engines.classes import DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import ConfigError
from roadmask.engines.extras import missing_package, pip_command
from roadmask.engines.letterbox import parse_size
from roadmask.engines.segmenter import Precision, Segmenter
from roadmask.engines.weights import find_weights

Engine = Literal["auto", "openvino", "torch"]
SCORE_MIN_FLOOR = 0.05
"""The networks rank candidates from here on; below lies noise, and what torchvision drops by default."""
_LOG = logging.getLogger("roadmask")


def load_segmenter(
    weights: str | Path = "lite",
    *,
    engine: Engine = "auto",
    classes: Sequence[str] = DEFAULT_CLASSES,
    score_min: float = 0.5,
    size: str | tuple[int, int] | None = None,
    threads: int | None = None,
    precision: Precision = "auto",
) -> Segmenter:
    """Builds a segmenter.

    Args:
        weights: `lite`, `resnet50`, `resnet50_v2`, or a .safetensors, .pt or .pth file of one of these architectures.
        engine: `openvino`, `torch` (the reference, slow), or `auto`: OpenVINO, or torch where only that is installed.
        classes: names of what to report, see `CLASS_NAMES`.
        score_min: instances below this score are not reported, 0.05 to 1. At 0.5 lite rarely reports what is not
            there; trackers that can use doubtful instances may ask for less.
        size: the network's input as `HxW` or two numbers, multiples of 32; chosen by each picture's aspect by default.
        threads: threads that compute; all cores by default.
        precision: `bf16`, `fp32`, or `auto`: bf16 where the processor multiplies it in hardware. Results in bf16 differ
            a little between kinds of processors. The torch engine knows fp32 alone.

    Returns:
        A segmenter. Its first picture of a new shape may take half a minute once, see `Segmenter.warm_up`.

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
    shape = None if size is None else parse_size(size)
    chosen = _choose(engine)
    if chosen == "torch" and precision == "bf16":
        raise ConfigError("expected fp32 for the engine torch, got bf16: choose the engine openvino for bf16.")
    found = find_weights(weights)
    wanted = category_ids(classes, [category for category in found.architecture.category_ids if category])
    segmenter: Segmenter
    if chosen == "openvino":
        from roadmask.engines.openvino_engine import OpenVinoSegmenter

        segmenter = OpenVinoSegmenter(
            found, wanted, score_min=score_min, network_shape=shape, threads=threads, precision=precision
        )
    else:
        from roadmask.engines.torch_engine import TorchSegmenter

        segmenter = TorchSegmenter(found, wanted, score_min=score_min, network_shape=shape, threads=threads)
    return segmenter


def _choose(engine: str) -> str:
    if engine not in _PACKAGES and engine != "auto":
        raise ConfigError(f"expected the engine auto, {' or '.join(_PACKAGES)}, got {engine!r}.")
    missing = {name: [p for p in packages if find_spec(p) is None] for name, packages in _PACKAGES.items()}
    if engine != "auto":
        if missing[engine]:
            raise missing_package(missing[engine][0], f"the engine {engine}", extra=_EXTRAS[engine])
        return engine
    if not missing["openvino"]:
        _LOG.info("engine openvino: the fastest on a CPU")
        return "openvino"
    if not missing["torch"]:
        _LOG.warning("engine torch: openvino is not installed, which is several times faster: %s", pip_command())
        return "torch"
    raise missing_package("openvino", "segmenting pictures")


_PACKAGES = {"openvino": ("openvino",), "torch": ("torch", "torchvision")}
_EXTRAS: dict[str, str | None] = {"openvino": None, "torch": "torch"}


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
        from roadmask.engines.openvino_engine import describe_device

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
