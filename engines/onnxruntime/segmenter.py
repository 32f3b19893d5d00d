"""The graph that plans are built from, run by ONNX Runtime on a CPU: slow, and without a GPU the only way to judge it.

On a CPU, ONNX Runtime keeps fp16 tensors in half between operators and may compute inside them in fp32: what fp16
rounds away shows, what a GPU's own order of sums does on top does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roadmask.engines.errors import EngineError
from roadmask.engines.extras import missing_package
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image


class OnnxGraphSegmenter(NetworkSegmenter):
    """Runs the one-graph ONNX, which is of one batch: images of one size go through it so many at a time.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input; chosen by each image's aspect by default.
        precision: of the backbone, FPN and heads.
        threads: that compute; all cores by default.
        batch: of the graph; places that are left over stay black.
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
        input_size: tuple[int, int] | None = None,
        precision: GpuPrecision = "fp32",
        threads: int | None = None,
        batch: int = 1,
        settings: GraphSettings | None = None,
    ) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - optional
        except ImportError as error:
            raise missing_package("onnxruntime", "running a GPU graph on a CPU", extra="tensorrt-rtx") from error
        super().__init__(
            "onnxruntime",
            weights,
            category_ids,
            precision=precision,
            score_min=score_min,
            input_size=input_size,
        )
        self._runtime = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3  # it warns of each constant it folds
        # Its own int8 kernels saturate at 16 bits where a processor has no VNNI; a GPU's do not. Kept as they are, the
        # quantisers round each number to what int8 holds and the sums are exact, as a GPU's are.
        self._options.add_session_config_entry("session.disable_quant_qdq", "1")
        if threads is not None:
            self._options.intra_op_num_threads = threads
        self._precision, self._batch, self._settings = precision, batch, settings
        self._sessions: dict[tuple[int, int], Any] = {}

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        starts = range(0, len(images), self._batch)
        return [each for start in starts for each in self._run(images[start : start + self._batch], letterbox)]

    def _run(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        session = self._session(letterbox.input_size)
        frames = np.zeros((self._batch, *letterbox.image_size, 3), np.uint8)
        frames[: len(images)] = images
        inputs: dict[str, Any] = {
            "frames": frames,
            "classes": self._classes,
            "score_min": np.array([self._score_min], np.float32),
            **vars(ResizePlan.of(letterbox)),
            **{each.name: np.ones(each.shape, np.float32) for each in session.get_inputs() if each.name in KEEPS},
        }
        names = [each.name for each in session.get_outputs()]
        # Every repeat decides at least one more box.
        for _ in range(1 + sum(inputs[name].shape[-1] for name in KEEPS)):
            found = dict(zip(names, session.run(names, inputs), strict=True))
            if found["converged"][: len(images)].all():
                break
            inputs |= {name: found[f"{name}_out"] for name in KEEPS}
        else:
            raise EngineError("non-maximum suppression did not converge: the graph is damaged.")
        results = []
        for row in range(len(images)):
            count = int(found["found"][row])
            given = (found[name][row, :count] for name in ("boxes", "scores", "labels", "masks"))
            results.append(self._instances(letterbox, *given))
        return results

    def _session(self, shape: tuple[int, int]) -> Any:
        if shape not in self._sessions:
            path = typed_onnx(self._weights, shape, self._batch, self._precision, self._settings)
            self._sessions[shape] = self._runtime.InferenceSession(
                str(path), self._options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[shape]
