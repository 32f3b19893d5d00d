"""The same graphs in ONNX Runtime, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from roadmask.engines import Image, Instances
from roadmask.engines.errors import EngineError
from roadmask.engines.images import network_instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import MASK_SIDE
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights


class OnnxRuntimeSegmenter:
    """Runs the static graphs in fp32, reporting all classes.

    Args:
        weights: see `find_weights`.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input.
        threads: threads that compute.
        settings: size of the graphs.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        score_min: float,
        input_size: tuple[int, int],
        threads: int,
        settings: GraphSettings,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        files = exported_graphs(weights, input_size, settings)
        self._detector, self._masks = (
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            for path in (files.detector, files.masks)
        )
        self._categories = np.array(weights.architecture.category_ids, np.int64)
        self._score_min = score_min
        self._shape = input_size
        self._slots = settings.masks_per_run

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch, one image after the other."""
        return [self._segment(image) for image in images]

    def _segment(self, image: Image) -> Instances:
        letterbox = Letterbox.fit(image.shape[:2], self._shape)
        sizes = {each.name: each.shape for each in self._detector.get_inputs()}
        inputs = {
            "image": letterbox.apply(image)[None],
            "content": np.array(letterbox.content_size, np.float32),
            "classes": (self._categories > 0).astype(np.float32),
            "score_min": np.array([self._score_min], np.float32),
            **{name: np.ones(sizes[name], np.float32) for name in KEEPS},
        }
        # Every repeat decides at least one more box.
        for _ in range(1 + sum(sizes[name][-1] for name in KEEPS)):
            found = self._run(inputs)
            if found["converged"][0]:
                break
            inputs |= {name: found[f"{name}_out"] for name in KEEPS}
        else:
            raise EngineError("non-maximum suppression did not converge: the graph is damaged.")
        count = int(found["found"][0])
        boxes, scores, labels = (found[name][:count] for name in ("boxes", "scores", "labels"))
        masks = np.zeros((count, MASK_SIDE, MASK_SIDE), np.float32)
        for start in range(0, count, self._slots):
            rows = np.minimum(np.arange(start, start + self._slots), count - 1)
            slots = {"atlas": found["atlas"], "boxes": boxes[rows], "labels": labels[rows]}
            masks[start : start + self._slots] = self._masks.run(["masks"], slots)[0][: count - start]
        return network_instances(letterbox, boxes, scores, self._categories[labels], masks)

    def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        names = [output.name for output in self._detector.get_outputs()]
        return dict(zip(names, self._detector.run(names, inputs), strict=True))
