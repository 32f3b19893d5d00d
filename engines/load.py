"""`load_segmenter`: checks its arguments, chooses an engine of the table and opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from roadmask.engines.choosing import choose_engine
from roadmask.engines.classes import DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import ConfigError
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.networks.weights import find_weights
from roadmask.engines.segmenter import Precision, Segmenter
from roadmask.engines.table import ENGINES, Engine, EngineOptions, engine_names

SCORE_MIN_FLOOR = 0.05
"""Smallest `score_min`: the networks rank no candidates below it, as torchvision drops them by default."""


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
        engine: name of the engine that runs the network; `roadmask doctor` lists the engines, and which of them work
            on a machine. `auto` takes the fastest one that works.
        classes: names of the classes to report, see `CLASS_NAMES`.
        score_min: minimum score of the reported instances, 0.05 to 1. At 0.5 lite reports few false instances; a
            tracker that makes use of low scores may ask for less.
        input_size: height and width of the network's input as `HxW` or two numbers, multiples of 32; chosen by each
            image's aspect by default.
        threads: number of threads of an engine on the CPU, one for each physical core by default; an engine on a GPU
            ignores it.
        precision: arithmetic of the network. `auto` is bf16 if the processor multiplies it in hardware, and fp32
            otherwise; results in bf16 differ slightly between kinds of processors. `int8` costs some accuracy, and
            pays on processors that do not multiply bf16. An engine refuses a precision that it does not compute in, and
            names the engines that do.

    Returns:
        A segmenter. Where torch exports the graph of weights and input size, the first image takes up to half a minute,
        once; see `Segmenter.warm_up`.

    Raises:
        ConfigError: an argument is invalid.
        WeightsError: the weights cannot be used.
        EngineError: a package is missing, or the engine cannot run here.
    """
    if not SCORE_MIN_FLOOR <= score_min <= 1:
        raise ConfigError(f"expected score_min from {SCORE_MIN_FLOOR} to 1, got {score_min}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"expected at least one thread, got {threads}.")
    if precision not in get_args(Precision):
        raise ConfigError(f"expected the precision {', '.join(get_args(Precision))}, got {precision!r}.")
    size = None if input_size is None else parse_input_size(input_size)
    names = engine_names()
    if engine not in names:
        raise ConfigError(f"expected the engine {', '.join(names[:-1])} or {names[-1]}, got {engine!r}.")
    found = find_weights(weights)
    chosen, arithmetic = choose_engine(found, size, precision) if engine == "auto" else (engine, precision)
    row = ENGINES[chosen]
    row.require_packages()
    row.require_precision(arithmetic)
    wanted = category_ids(classes, [category for category in found.architecture.category_ids if category])
    return row.open(found, wanted, EngineOptions(score_min, size, threads, arithmetic))
