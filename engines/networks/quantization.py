"""int8 as explicit Q/DQ, made by ONNX Runtime's static quantisation: a GPU then multiplies int8 and sums int32.

The graph is the fp16 one with a quantiser in front of each convolution and matrix product of the networks: symmetric
(TensorRT takes no zero points), one scale for each tensor and one for each channel of the weights. Biases and sums stay
float. What is never quantised, and why:

- box decoding, softmax, IoU, NMS and where to sample: they stay float32 as in fp16, since int8 has 256 places for a
  coordinate;
- the last layers of each head (scores, boxes, mask cells): a thousandth of the arithmetic, and every step of theirs
  moves a score or a corner;
- depthwise convolutions (MobileNet's): their channels differ too much in size for the one scale of what they take in,
  and with nine products to a sum int8 saves little. With them in int8, mask AP falls further than is accepted.

How large numbers become is measured once for weights and shape (`calibrate`) and kept in the cache by layer, so that
graphs of every batch get the very same scales.
"""

# ruff: noqa: PLC0415 - onnx and onnxruntime are optional

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines.errors import ConfigError, EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.images import read_image
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks import cache
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.image_folder import chosen_images
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.weights import Weights

IMAGES = 32
"""Number of images of a folder that are used, spread evenly over its names; ranges hardly grow with more."""
_KINDS = ("Conv", "ConvTranspose", "Gemm")
_LAST_LAYERS = ("rpn.head.cls_logits.", "rpn.head.bbox_pred.", "box_predictor.")


@dataclass(frozen=True)
class Calibration:
    """Ranges of the inputs of each layer on real images."""

    images_sha256: str
    """SHA-256 of the images' bytes."""
    ranges: dict[str, tuple[float, float]]
    """Smallest and largest number by layer: name of its weights, and which use of them it is (`...#2`)."""

    @property
    def digest(self) -> str:
        """Hash that is part of the key of graphs quantised with it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def calibrate(
    graph: Path,
    weights: Weights,
    shape: tuple[int, int],
    folder: Path,
    settings: GraphSettings | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> Calibration:
    """Measures ranges on images and stores them in the cache, unless it has those of the same images.

    Args:
        graph: the fp32 ONNX of the whole network at batch 1.
        weights: of the graph.
        shape: of the network's input.
        folder: of real images of streets, JPEG or PNG; `IMAGES` of them are taken.
        settings: of the graph.
        on_image: called after each image.

    Raises:
        InputError: the folder has no images, or one cannot be read.
        EngineError: onnxruntime is not installed.
    """
    files = chosen_images(folder, IMAGES)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    record = _record(weights, shape, settings)
    if record.is_file():
        known = _read(record)
        if known.images_sha256 == digest.hexdigest():
            return known
    found = Calibration(digest.hexdigest(), _measure(graph, weights, shape, files, on_image))
    cache.write_atomically(record, json.dumps(asdict(found), indent=2).encode())
    return found


def has_calibration(weights: Weights, shape: tuple[int, int], settings: GraphSettings | None = None) -> bool:
    """Returns whether ranges were measured."""
    return _record(weights, shape, settings).is_file()


def calibration_of(weights: Weights, shape: tuple[int, int], settings: GraphSettings | None = None) -> Calibration:
    """Returns the ranges that were measured last.

    Raises:
        ConfigError: none were; the message says how.
    """
    record = _record(weights, shape, settings)
    if not record.is_file():
        size = f"{shape[0]}x{shape[1]}"
        raise ConfigError(
            f"int8 needs the ranges of {weights.name} at {size}, measured on real images: run roadmask "
            f"engine build --weights {weights.argument} --precision int8 --input-size {size} --calibration DIR, where "
            "DIR is a folder of street images."
        )
    return _read(record)


def quantize(graph: Path, calibration: Calibration) -> bytes:
    """Returns the ONNX of an fp16 graph with quantisers.

    Args:
        graph: fp16, of any batch.
        calibration: of the same weights and shape.

    Raises:
        EngineError: the graph has layers that were not calibrated.
    """
    onnx, quantization = _libraries()
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(graph)
    layers = dict(_layers(model))
    unknown = sorted(set(layers) - set(calibration.ranges))
    if unknown or not layers:
        raise EngineError(
            f"the ranges of {', '.join(unknown[:3]) or 'all layers'} were not measured, or belong to another version "
            "of the graph: build again with --calibration DIR."
        )
    ranges: dict[str, Any] = {}
    for layer, node in layers.items():
        # Arrays, as numbers would lose their type on the way, and scales must have that of the graph.
        low, high = (np.array(bound, np.float16) for bound in calibration.ranges[layer])
        ranges[node.input[0]] = quantization.TensorData(lowest=low, highest=high)
    add_pre_process_metadata(model)
    minmax = quantization.CalibrationMethod.MinMax
    with tempfile.TemporaryDirectory() as scratch:
        source, result, tensors = (Path(scratch) / name for name in ("half.onnx", "int8.onnx", "ranges.json"))
        onnx.save(model, source)
        quantization.save_tensors_data(quantization.TensorsData(minmax, ranges), tensors)
        quantization.quantize_static(
            source,
            result,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(_KINDS),
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=[node.name for node in layers.values()],
            calibrate_method=minmax,
            calibration_cache_path=tensors,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,  # TensorRT adds it to the sum in float
                "OpTypesToExcludeOutputQuantization": list(_KINDS),  # what is not multiplied is not rounded
                "QDQKeepRemovableActivations": True,
            },
        )
        return result.read_bytes()


def _measure(
    graph: Path,
    weights: Weights,
    shape: tuple[int, int],
    files: Sequence[Path],
    on_image: Callable[[], None],
) -> dict[str, tuple[float, float]]:
    onnx, quantization = _libraries()
    model = onnx.load(graph)
    sizes = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in model.graph.input}
    classes = np.array([category > 0 for category in weights.category_ids], np.float32)
    keeps = {name: np.ones(sizes[name], np.float32) for name in KEEPS}

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._files = iter(files)

        def get_next(self) -> dict[str, Any] | None:
            file = next(self._files, None)
            if file is None:
                return None
            image = read_image(file)
            on_image()
            places = vars(ResizePlan.of(Letterbox.fit((image.shape[0], image.shape[1]), shape)))
            given = {"frames": image[None], "classes": classes, "score_min": np.array([0.05], np.float32)}
            return {**given, **places, **keeps}

    with tempfile.TemporaryDirectory() as scratch:
        calibrator = quantization.create_calibrator(
            graph,
            list(_KINDS),
            augmented_model_path=str(Path(scratch) / "augmented.onnx"),
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        calibrator.collect_data(Reader())
        found = calibrator.compute_data()
    ranges = {}
    for layer, node in _layers(model):
        low, high = found[node.input[0]].range_value
        ranges[layer] = (float(np.min(low)), float(np.max(high)))
    return ranges


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yields the layers that become int8 and their nodes; named by their weights, as exporters name all else anew."""
    used: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type not in _KINDS:
            continue
        name = node.input[1]
        used[name] += 1
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if groups == 1 and not any(last in name for last in _LAST_LAYERS):
            yield f"{name}#{used[name]}", node


def _record(weights: Weights, shape: tuple[int, int], settings: GraphSettings | None) -> Path:
    size = asdict(settings or GraphSettings.of(weights.architecture))
    key = hashlib.sha256(json.dumps([weights.sha256, shape, size]).encode()).hexdigest()[:16]
    return cache.subfolder("gpu-graphs") / f"{weights.architecture.value}-{shape[0]}x{shape[1]}-{key}-ranges.json"


def _read(record: Path) -> Calibration:
    try:
        written = json.loads(record.read_bytes())
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in written["ranges"].items()}
        return Calibration(str(written["images_sha256"]), ranges)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(
            f"{record} is not a file that roadmask wrote ({error}): delete it and calibrate again."
        ) from error


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        extra = "torch" if error.name == "onnx" else "tensorrt-rtx"
        raise missing_package(error.name or "onnxruntime", "int8", extra=extra) from error
    return onnx, quantization
