"""The networks in ONNX Runtime on a CPU: slow, and without a GPU the only way to verify the graph of plans.

On a CPU, ONNX Runtime keeps fp16 tensors in half between operators and may compute inside them in fp32: what fp16
rounds away shows, what a GPU's own order of sums does on top does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from roadmask.engines.extras import missing_package
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.typed_onnx import GpuPrecision
from roadmask.engines.networks.weights import Weights
from roadmask.engines.onnxruntime.graphs import FrameGraph, StaticGraphs
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.engines.table import EngineOptions


class OnnxRuntimeSegmenter(NetworkSegmenter):
    """Runs either form of the network.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input; chosen by each image's aspect by default.
        precision: of the backbone, FPN and heads.
        threads: number of threads; all cores by default.
        batch: batch size of the graph. Images of one size go through it in batches of this size; unused slots of the
            last batch stay black.
        settings: size of the graph.
        graphs: `frame` is the one graph that plans for GPUs are built from. `static` is the pair that OpenVINO runs,
            in fp32 and one image at a time: it predicts masks for the detections alone, and is faster on a CPU.

    Raises:
        EngineError: onnxruntime is not installed.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        score_min: float,
        input_size: tuple[int, int] | None = None,
        precision: GpuPrecision = "fp32",
        threads: int | None = None,
        batch: int = 1,
        settings: GraphSettings | None = None,
        graphs: Literal["frame", "static"] = "frame",
    ) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - optional
        except ImportError as error:
            raise missing_package("onnxruntime", "running a GPU graph on a CPU", extra="tensorrt-rtx") from error
        if graphs == "static" and (precision, batch) != ("fp32", 1):
            raise ValueError(f"expected fp32 and a batch of 1 for the static graphs, got {precision} and {batch}.")
        super().__init__(
            "onnxruntime", weights, category_ids, precision=precision, score_min=score_min, input_size=input_size
        )
        self._runtime = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3  # it warns of each constant it folds
        # Its own int8 kernels saturate at 16 bits where a processor has no VNNI; a GPU's do not. Kept as they are, the
        # quantisers round each number to what int8 holds and the sums are exact, as a GPU's are.
        self._options.add_session_config_entry("session.disable_quant_qdq", "1")
        if threads is not None:
            self._options.intra_op_num_threads = threads
        self._precision, self._batch, self._kind = precision, batch, graphs
        self._settings = settings or GraphSettings.of(weights.architecture)
        self._graphs: dict[tuple[int, int], FrameGraph | StaticGraphs] = {}

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        results = list[Instances]()
        for start in range(0, len(images), self._batch):
            chunk = images[start : start + self._batch]
            found = self._graph(letterbox.input_size).run(chunk, letterbox, self._classes, self._score_min)
            results += [self._instances(letterbox, *each) for each in found]
        return results

    def _graph(self, shape: tuple[int, int]) -> FrameGraph | StaticGraphs:
        if shape not in self._graphs:
            if self._kind == "static":
                self._graphs[shape] = StaticGraphs.of(self._weights, shape, self._settings, self._session)
            else:
                self._graphs[shape] = FrameGraph.of(
                    self._weights, shape, self._batch, self._precision, self._settings, self._session
                )
        return self._graphs[shape]

    def _session(self, path: str) -> Any:
        return self._runtime.InferenceSession(path, self._options, providers=["CPUExecutionProvider"])


def open_segmenter(weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> Segmenter:
    """Returns the engine `onnxruntime` on the graph that plans are built from, for `roadmask engine verify`."""
    kinds: dict[str, GpuPrecision] = {"fp16": "fp16", "int8": "int8"}
    return OnnxRuntimeSegmenter(
        weights,
        category_ids,
        score_min=options.score_min,
        input_size=options.input_size,
        precision=kinds.get(options.precision, "fp32"),
        threads=options.threads,
        batch=max(options.batches or (1,)),
    )
