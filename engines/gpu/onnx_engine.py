"""The graph that plans are built from, run by ONNX Runtime on a CPU: slow, and without a GPU the only way to judge it.

On a CPU, ONNX Runtime keeps fp16 tensors in half between operators and may compute inside them in fp32: what fp16
rounds away shows, what a GPU's own order of sums does on top does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.gpu.resizing import ResizePlan
from roadmask.engines.gpu.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.picture import checked_picture, network_instances
from roadmask.engines.segmenter import Image, SegmenterInfo
from roadmask.engines.weights import Weights

_KEEPS = ("proposal_keep", "detection_keep")


class OnnxGraphSegmenter:
    """Runs the one-graph ONNX at batch 1.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        network_shape: height and width of the network's input; chosen by each picture's aspect by default.
        precision: of the backbone, FPN and heads.
        threads: that compute; all cores by default.
        settings: size of the graph.

    Raises:
        EngineError: onnxruntime is not installed.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        score_min: float,
        network_shape: tuple[int, int] | None = None,
        precision: GpuPrecision = "fp32",
        threads: int | None = None,
        settings: GraphSettings | None = None,
    ) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - optional
        except ImportError as error:
            raise missing_package("onnxruntime", "running a GPU graph on a CPU", extra="tensorrt-rtx") from error
        self._runtime = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3  # it warns of each constant it folds
        if threads is not None:
            self._options.intra_op_num_threads = threads
        self._weights, self._shape, self._precision, self._settings = weights, network_shape, precision, settings
        self._categories = np.array(weights.architecture.category_ids, np.int64)
        self._classes = np.isin(self._categories, category_ids).astype(np.float32)
        self._score_min = np.array([score_min], np.float32)
        self._sessions: dict[tuple[int, int], Any] = {}
        self._info = SegmenterInfo.of("onnxruntime", weights, precision, category_ids, score_min)

    @property
    def info(self) -> SegmenterInfo:
        """What it is made of."""
        return self._info

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Exports the graph for pictures of this (H, W) if need be, and runs it once."""
        self([np.zeros((*image_size, 3), np.uint8)])

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch, picture by picture; see `Segmenter`."""
        return [self._segment(picture) for picture in [checked_picture(image) for image in images]]

    def _segment(self, picture: Image) -> Instances:
        letterbox = Letterbox.fit((picture.shape[0], picture.shape[1]), self._shape)
        session = self._session(letterbox.network_shape)
        places = ResizePlan.of(letterbox)
        inputs: dict[str, Any] = {"frames": picture[None], "classes": self._classes, "score_min": self._score_min}
        inputs |= vars(places)
        inputs |= {each.name: np.ones(each.shape, np.float32) for each in session.get_inputs() if each.name in _KEEPS}
        names = [each.name for each in session.get_outputs()]
        # Every repeat settles at least one more box.
        for _ in range(1 + sum(inputs[name].shape[-1] for name in _KEEPS)):
            found = dict(zip(names, session.run(names, inputs), strict=True))
            if found["converged"].all():
                break
            inputs |= {name: found[f"{name}_out"] for name in _KEEPS}
        else:
            raise EngineError("non-maximum suppression did not settle: the graph is damaged.")
        count = int(found["found"][0])
        boxes, scores, labels, masks = (found[name][0, :count] for name in ("boxes", "scores", "labels", "masks"))
        return network_instances(letterbox, boxes, scores, self._categories[labels], masks)

    def _session(self, shape: tuple[int, int]) -> Any:
        if shape not in self._sessions:
            path: Path = typed_onnx(self._weights, shape, 1, self._precision, self._settings)
            self._sessions[shape] = self._runtime.InferenceSession(
                str(path), self._options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[shape]
