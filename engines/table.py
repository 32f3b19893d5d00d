"""The table of engines. Adding one: write its folder with a `segmenter.py` and add a row, and its name to `Engine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, cast

from roadmask.engines.errors import ConfigError
from roadmask.engines.extras import missing_package
from roadmask.engines.segmenter import Precision, Segmenter

if TYPE_CHECKING:
    from roadmask.engines.networks.weights import Weights

Engine = Literal["auto", "openvino", "torch", "torch-cuda", "tensorrt"]
"""Names that `load_segmenter` takes."""


@dataclass(frozen=True)
class EngineOptions:
    """How a segmenter is opened; an engine ignores what does not concern it."""

    score_min: float
    """Instances below this score are not reported."""
    input_size: tuple[int, int] | None = None
    """Height and width of the network's input; chosen by each image's aspect by default."""
    threads: int | None = None
    """Number of threads of an engine on the CPU; one for each physical core by default."""
    precision: Precision = "auto"
    """Precision of the network, one of the row's."""
    batches: tuple[int, ...] | None = None
    """Batch sizes that an engine with fixed ones prepares; its own choice by default."""


@dataclass(frozen=True)
class EngineRow:
    """How an engine is checked, opened and described."""

    name: str
    """Name that users choose it by."""
    module: str
    """Module with `open_segmenter(weights, category_ids, options) -> Segmenter`, imported once the engine is chosen."""
    precisions: tuple[Precision, ...]
    """Precisions that it computes in; `auto` first if it chooses by itself."""
    packages: tuple[str, ...] = ()
    """Packages that must be installed. Empty if opening the engine tells which one is missing."""
    extra: str | None = None
    """Extra of roadmask that installs these packages; None if roadmask itself does."""
    status: str | None = None
    """Module with `engine_status() -> list[EngineStatus]`; by default the versions of the packages are shown."""
    runs_on_gpu: bool = False
    """Whether it needs an NVIDIA GPU, or serves the engines that do."""
    selectable: bool = True
    """Whether `load_segmenter` takes it; others are there to verify engines."""

    def missing_packages(self) -> list[str]:
        """Returns the packages that are not installed."""
        return [package for package in self.packages if find_spec(package) is None]

    def require_packages(self) -> None:
        """Checks that the engine is installed.

        Raises:
            EngineError: a package is missing; the message holds the command that installs it.
        """
        for package in self.missing_packages():
            raise missing_package(package, f"the engine {self.name}", extra=self.extra)

    def require_precision(self, precision: str) -> None:
        """Checks that the engine computes in a precision.

        Raises:
            ConfigError: it does not; the message names the engines that do.
        """
        if precision in self.precisions:
            return
        own = [each for each in self.precisions if each != "auto"]
        others = [row.name for row in ENGINES.values() if row.selectable and precision in row.precisions]
        remedy = f": choose the engine {' or '.join(others)}" if others else ""
        raise ConfigError(f"expected {' or '.join(own)} for the engine {self.name}, got {precision}{remedy}.")

    def open(self, weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> Segmenter:
        """Opens the engine.

        Args:
            weights: see `find_weights`.
            category_ids: COCO category ids to report.
            options: see `EngineOptions`.

        Raises:
            ConfigError: it does not compute in this precision.
            EngineError: a package is missing, or the engine cannot run here.
        """
        self.require_precision(options.precision)
        return cast("Segmenter", import_module(self.module).open_segmenter(weights, category_ids, options))


_ROWS = (
    EngineRow(
        "openvino",
        "roadmask.engines.openvino.segmenter",
        ("auto", "bf16", "fp32", "int8"),
        packages=("openvino",),
        status="roadmask.engines.openvino.status",
    ),
    EngineRow(
        "torch", "roadmask.engines.torch.segmenter", ("auto", "fp32"), packages=("torch", "torchvision"), extra="torch"
    ),
    EngineRow(
        "tensorrt",
        "roadmask.engines.tensorrt.opening",
        ("auto", "fp16", "int8", "fp32"),
        status="roadmask.engines.tensorrt.status",
        runs_on_gpu=True,
    ),
    EngineRow(
        "torch-cuda",
        "roadmask.engines.torch_cuda.segmenter",
        ("auto", "fp16", "fp32"),
        packages=("torch", "torchvision"),
        extra="torch",
        status="roadmask.engines.torch_cuda.status",
        runs_on_gpu=True,
    ),
    EngineRow(
        "onnxruntime",
        "roadmask.engines.onnxruntime.segmenter",
        ("fp32", "fp16", "int8"),
        status="roadmask.engines.onnxruntime.status",
        runs_on_gpu=True,
        selectable=False,
    ),
)
ENGINES = {row.name: row for row in _ROWS}
"""Engines by their names."""


def engine_names() -> list[str]:
    """Returns the names that `load_segmenter` takes, `auto` first."""
    return ["auto", *(row.name for row in _ROWS if row.selectable)]


def precisions(*, on_gpu: bool) -> list[Precision]:
    """Returns the precisions that the engines on a CPU, or those on a GPU, compute in."""
    rows = [row for row in _ROWS if row.selectable and row.runs_on_gpu == on_gpu]
    return list(dict.fromkeys(each for row in rows for each in row.precisions if each != "auto"))
