"""The static graphs in OpenVINO: the default engine on a CPU.

Once graphs are exported and compiled, they come from the cache and torch is never imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import EngineError
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import MASK_SIDE
from roadmask.engines.networks import cache
from roadmask.engines.networks.convergence import run_until_converged
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.weights import Weights
from roadmask.engines.openvino import telemetry
from roadmask.engines.segmenter import Image, Precision, Segmenter
from roadmask.engines.table import EngineOptions

telemetry.opt_out()
import openvino as ov  # noqa: E402 - only once it cannot report

from roadmask.engines.openvino.graph import ROWS_NAME, sum_rows_for_roi_align  # noqa: E402 - imports openvino
from roadmask.engines.openvino.int8 import known_ranges, quantize  # noqa: E402 - imports openvino

_DETECTION = ("boxes", "scores", "labels")
_NATIVE_BF16 = ("avx512_bf16", "amx_bf16")
"""Flags of processors that multiply bf16 in hardware; OpenVINO also offers to emulate it, which is slower than fp32."""
_NATIVE_VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Flags of processors that sum products of int8 in int32."""
_EXACT_IN_MASKS = (ROWS_NAME,)
_EXACT_IN_DETECTOR = ("node_exp", "node_gt", "node_topk", ROWS_NAME)
"""Prefixes of the layers of box decoding, NMS, ranking and sampling: in reduced precision boxes move by pixels."""


class OpenVinoSegmenter(NetworkSegmenter):
    """Runs the static graphs in OpenVINO, image by image, so that no result depends on what else is in a batch.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        input_size: fixed height and width of the network's input; chosen by each image's aspect by default.
        threads: threads that compute; OpenVINO takes one for each physical core by default.
        precision: arithmetic of the networks; boxes are decoded in fp32 always. `auto` takes bf16 where the processor
            multiplies it in hardware; int8 costs a little accuracy and pays on those that do not; fp16 is there to
            judge half precision for GPUs.
        settings: size of the graphs.

    Raises:
        ConfigError: int8 is asked for, and nobody measured how large the numbers in these weights are.
        EngineError: OpenVINO cannot run here, or bf16 or fp16 is asked for where it would be emulated.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        score_min: float,
        input_size: tuple[int, int] | None = None,
        threads: int | None = None,
        precision: Precision = "auto",
        settings: GraphSettings | None = None,
    ) -> None:
        if precision == "auto":
            precision = "bf16" if has_native_bf16() else "fp32"
        elif precision == "bf16" and not has_native_bf16():
            raise EngineError(
                "expected a processor that multiplies bf16 in hardware, this one does not: use precision fp32."
            )
        elif precision == "fp16" and "FP16" not in cpu_capabilities():
            raise EngineError(
                "expected a processor that multiplies fp16 in hardware, this one does not: use precision fp32."
            )
        super().__init__(
            "openvino", weights, category_ids, precision=precision, score_min=score_min, input_size=input_size
        )
        self._ranges = known_ranges(weights) if precision == "int8" else None
        self._settings = settings or GraphSettings.of(weights.architecture)
        self._config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            # Every process would pin its threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp16": "f16"}.get(precision, "f32"),
        }
        if threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._core = ov.Core()
        self._networks: dict[tuple[int, int], _Network] = {}
        self._unconverged = 0

    @property
    def unconverged_images(self) -> int:
        """Number of images so far whose NMS converged only when the graph was run again."""
        return self._unconverged

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Exports and compiles the graphs for images of this (H, W) if need be, and runs them once."""
        counted = self._unconverged
        super().warm_up(image_size)
        self._unconverged = counted  # a black image's anchors all tie, which says nothing of real ones

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        network = self._network(letterbox.input_size)
        return [self._segment_one(image, letterbox, network) for image in images]

    def _segment_one(self, image: Image, letterbox: Letterbox, network: _Network) -> Instances:
        found, runs = network.run(letterbox.apply(image), letterbox.content_size, self._classes, self._score_min)
        self._unconverged += runs > 1
        return self._instances(letterbox, found.boxes, found.scores, found.labels, found.masks)

    def _network(self, shape: tuple[int, int]) -> _Network:
        if shape not in self._networks:
            files = exported_graphs(self._weights, shape, self._settings)
            detector = self._compile(files.detector, _EXACT_IN_DETECTOR)
            self._networks[shape] = _Network(detector, self._compile(files.masks, _EXACT_IN_MASKS), self._watch)
        return self._networks[shape]

    def _watch(self, request: ov.InferRequest) -> None:
        """Is called after each run of a graph, for calibration.py."""

    def _rewrite(self, model: ov.Model) -> None:
        """Rewrites an exported graph, in place, into the one that is compiled."""
        sum_rows_for_roi_align(model)
        if self._ranges is not None:
            quantize(model, self._ranges, self._weights.architecture, has_vnni=has_vnni())

    def _compile(self, path: Path, exact_layers: Sequence[str]) -> ov.CompiledModel:
        blobs = cache.subfolder("openvino")
        # Graphs may come with a read-only image: then they are compiled each time, which takes about a second.
        writable = os.access(blobs, os.W_OK)
        config = {**self._config, "CACHE_DIR": str(blobs)} if writable else self._config
        try:
            with cache.lock(blobs / f"{path.stem}.lock") if writable else nullcontext():
                model = self._core.read_model(str(path))
                self._rewrite(model)
                compiled = self._core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {ov.get_version()} cannot compile {path} ({error}): delete {cache.folder()} and try again, "
                "or choose another engine."
            ) from error
        inexact = sorted(inexact_layers(compiled, exact_layers))
        if inexact:
            raise EngineError(
                f"OpenVINO {ov.get_version()} would decode boxes in {self.info.precision} ({', '.join(inexact[:3])}), "
                "which moves them by pixels: use precision fp32, and report this version."
            )
        return compiled


def open_segmenter(weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> Segmenter:
    """Returns the engine `openvino`."""
    return OpenVinoSegmenter(
        weights,
        category_ids,
        score_min=options.score_min,
        input_size=options.input_size,
        threads=options.threads,
        precision=options.precision,
    )


@dataclass(frozen=True)
class _Found:
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]


class _Network:
    """The compiled graphs of one shape, one request each; see static_graph.py for their inputs and outputs."""

    def __init__(
        self, detector: ov.CompiledModel, masks: ov.CompiledModel, watch: Callable[[ov.InferRequest], None]
    ) -> None:
        self._watch = watch
        self._detector = detector.create_infer_request()
        self._masks = masks.create_infer_request()
        self._masks.set_tensor("atlas", self._detector.get_tensor("atlas"))
        self._masks_per_run = int(masks.input("boxes").shape[0])
        self._start = {name: np.ones(tuple(detector.input(name).shape), np.float32) for name in KEEPS}

    def run(
        self, image: Image, content_size: tuple[int, int], classes: NDArray[np.float32], score_min: float
    ) -> tuple[_Found, int]:
        """Returns the detections, copied out of OpenVINO's buffers, and how many runs their NMS took."""
        try:
            runs = self._detect(image, content_size, classes, score_min)
            count = int(_output(self._detector, "found")[0])
            boxes, scores, labels = (_output(self._detector, name)[:count].copy() for name in _DETECTION)
            return _Found(boxes, scores, labels, self._predict_masks(boxes, labels)), runs
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed on an image: {error}") from error

    def _detect(
        self, image: Image, content_size: tuple[int, int], classes: NDArray[np.float32], score_min: float
    ) -> int:
        inputs: dict[str, NDArray[Any]] = {
            "image": image[None],
            "content": np.array(content_size, np.float32),
            "classes": classes,
            "score_min": np.array([score_min], np.float32),
            **self._start,
        }

        def run() -> bool:
            self._detector.infer(inputs, share_inputs=True, share_outputs=True)
            self._watch(self._detector)
            return bool(_output(self._detector, "converged")[0])

        def resume() -> None:
            inputs.update({name: _output(self._detector, f"{name}_out").copy() for name in KEEPS})

        return run_until_converged(run, resume, (start.shape[-1] for start in self._start.values()))

    def _predict_masks(self, boxes: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        masks = np.empty((len(boxes), MASK_SIDE, MASK_SIDE), np.float32)
        box_slots = np.zeros((self._masks_per_run, 4), np.float32)
        label_slots = np.ones(self._masks_per_run, np.int64)
        for start in range(0, len(boxes), self._masks_per_run):
            chunk = slice(start, min(start + self._masks_per_run, len(boxes)))
            used = chunk.stop - start
            box_slots[:used], label_slots[:used] = boxes[chunk], labels[chunk]
            self._masks.infer({"boxes": box_slots, "labels": label_slots}, share_inputs=True, share_outputs=True)
            self._watch(self._masks)
            masks[chunk] = _output(self._masks, "masks")[:used]
        return masks


def _output(request: ov.InferRequest, name: str) -> NDArray[Any]:
    """Returns an output in OpenVINO's memory, which the next run overwrites."""
    data: NDArray[Any] = request.get_tensor(name).data
    return data


def has_native_bf16() -> bool:
    """Returns whether this processor multiplies bf16 in hardware, according to /proc/cpuinfo."""
    return _processor_has(_NATIVE_BF16)


def has_vnni() -> bool:
    """Returns whether this processor sums products of int8 in int32, according to /proc/cpuinfo."""
    return _processor_has(_NATIVE_VNNI)


def _processor_has(any_of: Sequence[str]) -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in any_of)


def cpu_capabilities() -> tuple[str, ...]:
    """Returns the precisions that this processor computes in hardware, according to OpenVINO: FP32, FP16, INT8, ..."""
    return tuple(map(str, ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")))


def inexact_layers(compiled: ov.CompiledModel, kinds: Sequence[str]) -> Iterator[str]:
    """Yields the layers whose names begin with one of `kinds` and that do not compute in fp32."""
    seen = set()
    for layer in compiled.get_runtime_model().get_ordered_ops():
        info = layer.get_rt_info()
        origins = str(info["originalLayersNames"].value).split(",")
        for kind in kinds:
            if any(origin.startswith(kind) for origin in origins):
                seen.add(kind)
                types = f"{info['runtimePrecision'].value},{info['outputPrecisions'].value}"
                if "bf16" in types or "f16" in types:
                    yield f"{layer.get_friendly_name()} {types}"
    # A check that finds nothing to check must not pass.
    yield from (f"{kind} not found" for kind in kinds if kind not in seen)


def describe_device() -> str:
    """Returns OpenVINO's version, the processor and the arithmetic that `auto` chooses on it."""
    name = ov.Core().get_property("CPU", "FULL_DEVICE_NAME")
    return f"OpenVINO {ov.get_version().partition('-')[0]}, {name}, {'bf16' if has_native_bf16() else 'fp32'}"
