"""Whether a precision costs too much accuracy: mask AP of the graph that plans are built from, against fp32."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from roadmask.engines import cache
from roadmask.engines.classes import category_ids
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.gpu.onnx_engine import OnnxGraphSegmenter
from roadmask.engines.gpu.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.weights import Weights
from roadmask.evaluation import common_classes, evaluate_masks, read_truth, segment_truth

AP_DROP_MAX: Mapping[str, float] = {"fp32": 0.0, "fp16": 0.003}
"""By how much mask AP, 0 to 1, may fall against fp32 on each set of pictures."""
SETS = ("coco_dev", "pennfudan_dev")

Measured = dict[str, dict[str, float]]
"""Mask AP by set of pictures and precision."""


def measure(
    weights: Weights,
    precision: GpuPrecision,
    shape: tuple[int, int],
    data: Path | None,
    on_image: Callable[[], None] = lambda: None,
) -> Measured:
    """Measures the mask AP of a precision and of fp32, once for each graph: the cache keeps it by the ONNX file's hash.

    Args:
        weights: of the graph.
        precision: to judge.
        shape: of the network's input.
        data: folder of the sets, each with `instances.json` and `images`.
        on_image: called after each picture.

    Raises:
        ConfigError: it was not measured before and there are no pictures.
        EngineError: onnxruntime is not installed.
    """
    digest = hashlib.sha256(typed_onnx(weights, shape, 1, precision).read_bytes()).hexdigest()
    record = cache.subfolder("acceptance") / f"{digest}.json"
    if record.is_file():
        known: Measured = json.loads(record.read_bytes())
        return known
    if data is None or not all((data / each / "instances.json").is_file() for each in SETS):
        raise ConfigError(
            f"{precision} is accepted by mask AP on {' and '.join(SETS)}, and no folder that --data or ROADMASK_DATA "
            "names has them: name it, choose fp32, or build with --unmeasured."
        )
    measured: Measured = {each: {} for each in SETS}
    for each in SETS:
        kinds: tuple[GpuPrecision, ...] = ("fp32",) if precision == "fp32" else ("fp32", precision)
        for kind in kinds:
            measured[each][kind] = _mask_ap(weights, kind, shape, data / each, on_image)
    cache.write_atomically(record, json.dumps(measured, indent=2).encode())
    return measured


def accept(measured: Measured, precision: GpuPrecision) -> None:
    """Lets a precision pass.

    Raises:
        ConfigError: mask AP falls too far on one of the sets.
    """
    limit = AP_DROP_MAX[precision]
    drops = {each: figures["fp32"] - figures[precision] for each, figures in measured.items()}
    refused = [f"{drop * 100:.2f} points on {each}" for each, drop in drops.items() if drop > limit]
    if refused:
        raise ConfigError(
            f"{precision} is refused: mask AP falls by {', '.join(refused)}, at most {limit * 100:.1f} are accepted: "
            "choose fp32."
        )


def _mask_ap(
    weights: Weights, precision: GpuPrecision, shape: tuple[int, int], folder: Path, on_image: Callable[[], None]
) -> float:
    truth = read_truth(folder / "instances.json")
    known = [category for category in weights.architecture.category_ids if category]
    names = common_classes(truth, known)
    segmenter = OnnxGraphSegmenter(
        weights, category_ids(names, known), score_min=0.05, network_shape=shape, precision=precision
    )
    found = segment_truth(segmenter, truth, folder / "images", on_image)
    ap = evaluate_masks(truth, found, names)[-1].ap
    if ap is None:
        raise InputError(f"expected masks to find in {folder}, there are none.")
    return ap
