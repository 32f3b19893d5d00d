"""Accepts or refuses a precision by its mask AP against fp32, measured on a CPU before a plan is built.

int8, and fp16 on most CPUs, is measured on the graph that plans are built from, in ONNX Runtime: all that a precision
rounds away shows, the order of a GPU's sums does not. On a CPU that reports FP16, fp16 is measured in OpenVINO, whose
kernels there also add in half. As both may add in fp32 where a GPU does not, the largest number in the network is
measured, too: it must be far from where half ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from roadmask.engines import Segmenter
from roadmask.engines.classes import category_ids
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.images import read_image
from roadmask.engines.networks import cache
from roadmask.engines.networks.activations import largest_activations, require_half
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.image_folder import chosen_images
from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.onnxruntime.segmenter import OnnxRuntimeSegmenter
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter, cpu_capabilities
from roadmask.engines.segmenter import Precision
from roadmask.evaluation import common_classes, evaluate_masks, read_truth, segment_truth

Reduced = Literal["fp16", "int8"]
"""Precisions that must be accepted; the parts of an int8 graph that are not int8 are fp16."""
AP_DROP_MAX: Mapping[Reduced, float] = {"fp16": 0.003, "int8": 0.007}
"""Largest drop of mask AP, 0 to 1, against fp32 on each set of images."""
SETS = ("coco_dev", "pennfudan_dev")
_IMAGES = 16
"""Number of images of each set, spread evenly, on which the largest numbers are measured."""
_SCORE_MIN = 0.05


@dataclass(frozen=True)
class Acceptance:
    """The measured cost of a precision."""

    precision: Reduced
    way: str
    """Description of the engine and images of the measurement."""
    mask_ap: dict[str, dict[str, float]]
    """Mask AP, 0 to 1: set of images -> precision -> AP."""
    largest: dict[str, float]
    """Layer with the largest number in fp32 -> that number."""

    def require(self) -> None:
        """Checks that the precision is accepted.

        Raises:
            ConfigError: mask AP falls too far on one of the sets.
            EngineError: a number is too near to where half ends.
        """
        limit = AP_DROP_MAX[self.precision]
        drops = {each: figures["fp32"] - figures[self.precision] for each, figures in self.mask_ap.items()}
        refused = [f"{drop * 100:.2f} points on {each}" for each, drop in drops.items() if drop > limit]
        if refused:
            raise ConfigError(
                f"{self.precision} is refused: mask AP falls by {', '.join(refused)}, at most {limit * 100:.1f} are "
                f"accepted: choose {'fp16 or ' if self.precision == 'int8' else ''}fp32."
            )
        require_half(self.largest)

    def record(self) -> dict[str, Any]:
        """Returns the record for a plan's manifest."""
        return asdict(self)


def measure(
    weights: Weights,
    precision: Reduced,
    shape: tuple[int, int],
    data: Path | None,
    on_image: Callable[[], None] = lambda: None,
) -> Acceptance:
    """Measures the mask AP of a precision and of fp32, and the largest number in fp32.

    Each is measured once for a graph: the cache keeps it by the graph's hash.

    Args:
        weights: of the graph.
        precision: to judge.
        shape: of the network's input.
        data: folder of the sets, each with `instances.json` and `images`.
        on_image: called after each image.

    Raises:
        ConfigError: it was not measured before and there are no images.
        EngineError: onnxruntime is not installed.
    """
    capabilities = cpu_capabilities()
    in_openvino = precision == "fp16" and "FP16" in capabilities
    if in_openvino:
        way = "the CPU's own graphs of these weights in OpenVINO, whose f16 kernels this processor runs"
    elif precision == "fp16":
        way = (
            "the graph of the plans in ONNX Runtime, which may add in fp32 inside an operator: OpenVINO has no f16 "
            f"kernels for this processor (it reports {', '.join(capabilities)})"
        )
    else:
        way = "the graph of the plans in ONNX Runtime"
    kinds: tuple[GpuPrecision, ...] = ("fp32", precision)
    judge = _in_openvino if in_openvino else _in_onnx_runtime
    mask_ap: dict[str, dict[str, float]] = {
        name: {kind: _mask_ap(judge(weights, kind, shape), weights, kind, name, data, on_image) for kind in kinds}
        for name in SETS
    }
    return Acceptance(precision, way, mask_ap, _largest(weights, shape, data, on_image))


@dataclass(frozen=True)
class _Judged:
    """What is measured."""

    key: str
    """Key of the cached result: the engine and the hash of the graph."""
    segmenter: Callable[[Sequence[int]], Segmenter]
    """Reports these category ids."""


def _in_onnx_runtime(weights: Weights, kind: GpuPrecision, shape: tuple[int, int]) -> _Judged:
    return _Judged(
        f"onnxruntime-{_hash(typed_onnx(weights, shape, 1, kind))}",
        lambda wanted: OnnxRuntimeSegmenter(weights, wanted, score_min=_SCORE_MIN, input_size=shape, precision=kind),
    )


def _in_openvino(weights: Weights, kind: GpuPrecision, shape: tuple[int, int]) -> _Judged:
    arithmetic: Precision = "fp16" if kind == "fp16" else "fp32"
    graphs = exported_graphs(weights, shape, GraphSettings.of(weights.architecture))
    return _Judged(
        f"openvino-{arithmetic}-{_hash(graphs.detector)}",
        lambda wanted: OpenVinoSegmenter(weights, wanted, score_min=_SCORE_MIN, input_size=shape, precision=arithmetic),
    )


def _hash(graph: Path) -> str:
    return hashlib.sha256(graph.read_bytes()).hexdigest()[:24]


def _largest(
    weights: Weights, shape: tuple[int, int], data: Path | None, on_image: Callable[[], None]
) -> dict[str, float]:
    """Returns the layer with the largest number, and the number, from the cache if it is there."""
    record = cache.subfolder("acceptance") / f"largest-{_hash(typed_onnx(weights, shape, 1, 'fp32'))}.json"
    if record.is_file():
        return {str(layer): float(value) for layer, value in json.loads(record.read_bytes()).items()}
    folders = [_folder_of(name, data, "half") / "images" for name in SETS]
    images = [read_image(file) for folder in folders for file in chosen_images(folder, _IMAGES)]
    layer, value = max(largest_activations(weights, shape, images, on_image).items(), key=lambda item: item[1])
    cache.write_atomically(record, json.dumps({layer: value}).encode())
    return {layer: value}


def _folder_of(name: str, data: Path | None, precision: str) -> Path:
    if data is None or not (data / name / "instances.json").is_file():
        raise ConfigError(
            f"{precision} is accepted by its results on {' and '.join(SETS)}, and no folder that --data or "
            "ROADMASK_DATA names has them: name it, choose fp32, or build with --unmeasured."
        )
    return data / name


def _mask_ap(
    judged: _Judged, weights: Weights, kind: str, name: str, data: Path | None, on_image: Callable[[], None]
) -> float:
    """Returns the mask AP on a set of images, from the cache if it is there."""
    record = cache.subfolder("acceptance") / f"{judged.key}-{name}.json"
    if record.is_file():
        return float(json.loads(record.read_bytes())["mask_ap"])
    folder = _folder_of(name, data, kind)
    truth = read_truth(folder / "instances.json")
    known = weights.class_names
    names = common_classes(truth, known)
    segmenter = judged.segmenter(category_ids(names, known))
    ap = evaluate_masks(truth, segment_truth(segmenter, truth, folder / "images", on_image), names)[-1].ap
    if ap is None:
        raise InputError(f"expected masks to find in {folder}, there are none.")
    cache.write_atomically(record, json.dumps({"mask_ap": ap, "images": len(truth.images)}).encode())
    return ap
