"""The two forms of the network as sessions of ONNX Runtime; each run returns the network's own numbers per image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import MASK_SIDE
from roadmask.engines.networks.convergence import run_until_converged
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image

OpenSession = Callable[[str], Any]
"""Returns a session of the ONNX file at a path."""
Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.integer], NDArray[np.float32]]
"""Boxes (N, 4), scores (N,), labels (N,) and masks (N, 28, 28) of an image, as `NetworkSegmenter._instances` takes."""
_BOXES = ("boxes", "scores", "labels")


@dataclass(frozen=True)
class FrameGraph:
    """The one graph that plans for GPUs are built from: camera frames in, instances out. See graph_io.py."""

    session: Any
    """Session of ONNX Runtime."""
    batch: int
    """Batch size of the graph."""

    @classmethod
    def of(
        cls,
        weights: Weights,
        shape: tuple[int, int],
        batch: int,
        precision: GpuPrecision,
        settings: GraphSettings,
        open_session: OpenSession,
    ) -> FrameGraph:
        """Exports the graph if need be, and opens it."""
        return cls(open_session(str(typed_onnx(weights, shape, batch, precision, settings))), batch)

    def run(
        self, images: Sequence[Image], letterbox: Letterbox, classes: NDArray[np.float32], score_min: float
    ) -> list[Found]:
        """Runs at most `batch` images of one size."""
        frames = np.zeros((self.batch, *letterbox.image_size, 3), np.uint8)
        frames[: len(images)] = images
        inputs = {
            "frames": frames,
            "classes": classes,
            "score_min": np.array([score_min], np.float32),
            **vars(ResizePlan.of(letterbox)),
        }
        found = _run_until_converged(self.session, inputs, len(images))
        counts = found["found"]
        return [
            tuple(found[name][row, : int(counts[row])] for name in (*_BOXES, "masks")) for row in range(len(images))
        ]


@dataclass(frozen=True)
class StaticGraphs:
    """The pair of graphs that OpenVINO runs, see static_graph.py: the detector, then the masks of what it found."""

    detector: Any
    """Session of the detector."""
    masks: Any
    """Session of the mask head."""
    masks_per_run: int
    """Number of detections that the mask head takes at a time."""

    @classmethod
    def of(
        cls, weights: Weights, shape: tuple[int, int], settings: GraphSettings, open_session: OpenSession
    ) -> StaticGraphs:
        """Exports the graphs if need be, and opens them."""
        files = exported_graphs(weights, shape, settings)
        return cls(open_session(str(files.detector)), open_session(str(files.masks)), settings.masks_per_run)

    def run(
        self, images: Sequence[Image], letterbox: Letterbox, classes: NDArray[np.float32], score_min: float
    ) -> list[Found]:
        """Runs one image."""
        [image] = images
        inputs = {
            "image": letterbox.apply(image)[None],
            "content": np.array(letterbox.content_size, np.float32),
            "classes": classes,
            "score_min": np.array([score_min], np.float32),
        }
        found = _run_until_converged(self.detector, inputs, 1)
        count = int(found["found"][0])
        boxes, scores, labels = (found[name][:count] for name in _BOXES)
        masks = np.zeros((count, MASK_SIDE, MASK_SIDE), np.float32)
        for start in range(0, count, self.masks_per_run):
            rows = np.minimum(np.arange(start, start + self.masks_per_run), count - 1)
            slots = {"atlas": found["atlas"], "boxes": boxes[rows], "labels": labels[rows]}
            masks[start : start + self.masks_per_run] = self.masks.run(["masks"], slots)[0][: count - start]
        return [(boxes, scores, labels, masks)]


def _run_until_converged(session: Any, inputs: dict[str, Any], images: int) -> dict[str, Any]:
    """Runs a session until NMS has converged for the first `images` of its batch; returns its outputs by name."""
    starts = {each.name: np.ones(each.shape, np.float32) for each in session.get_inputs() if each.name in KEEPS}
    names = [each.name for each in session.get_outputs()]
    found: dict[str, Any] = {}

    def run() -> bool:
        found.update(zip(names, session.run(names, {**inputs, **starts}), strict=True))
        return bool(found["converged"][:images].all())

    def resume() -> None:
        starts.update({name: found[f"{name}_out"] for name in KEEPS})

    run_until_converged(run, resume, [start.shape[-1] for start in starts.values()])
    return found
