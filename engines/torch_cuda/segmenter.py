"""torch on a CUDA GPU, for machines without TensorRT: fp16, channels last, captured as a CUDA graph.

torch compiles it first (fused_graph.py), which takes about 15 seconds for each shape of the network's input and batch;
what it makes is kept in the cache. Where it cannot be compiled, the graph runs as it is.

Who owns what: the segmenter owns the graph's weights, inputs and outputs on the device, and pinned memory for frames
and results; what it returns is copied out of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

from roadmask.engines.errors import DeviceMemoryError, GpuMissingError
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks import cache
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.frame_size_cache import FrameSizeCache
from roadmask.engines.networks.graph_io import Inputs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.typed_onnx import GpuPrecision
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.engines.table import EngineOptions
from roadmask.engines.torch_cuda.captured_graph import CapturedGraph

_LOG = logging.getLogger("roadmask")
_Graph = TypeVar("_Graph", bound=GpuGraph)


class TorchCudaSegmenter(NetworkSegmenter):
    """Runs frames of one size in batches.

    A call takes the smallest batch that holds its frames, and the largest again and again if none does. In half
    precision a batch of another size moves the last digits of a result.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input; chosen by each image's aspect by default.
        precision: of the networks; boxes are decoded in fp32 always.
        batches: how many frames run at a time; slots that are left over cost as much. Each is compiled when it is first
            needed.
        settings: size of the graph.
        device: `cuda`; on `cpu` the same steps run without capture, to test them.

    Raises:
        GpuMissingError: torch sees no CUDA GPU.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        score_min: float,
        input_size: tuple[int, int] | None = None,
        precision: GpuPrecision = "fp16",
        batches: Sequence[int] = (1,),
        settings: GraphSettings | None = None,
        device: str = "cuda",
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise GpuMissingError(
                f"the engine torch-cuda needs an NVIDIA GPU, and torch {torch.__version__} sees none: choose "
                "the engine openvino, or install a torch for this GPU's driver."
            )
        super().__init__(
            "torch-cuda",
            weights,
            category_ids,
            precision=precision,
            score_min=score_min,
            input_size=input_size,
        )
        self._batches, self._device = tuple(sorted(batches)), device
        self._dtype = torch.float16 if precision == "fp16" else torch.float32
        self._settings = settings or GraphSettings.of(weights.architecture)
        self._compiles = device == "cuda"
        self._graphs: dict[tuple[tuple[int, int], int], GpuGraph] = {}
        self._captured: FrameSizeCache[dict[int, CapturedGraph]] = FrameSizeCache()

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Compiles and captures the network of each batch for images of this (H, W), and runs it on black ones."""
        for batch in self._batches:
            self([np.zeros((*image_size, 3), np.uint8)] * batch)

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        try:
            results = list[Instances]()
            for start in range(0, len(images), self._batches[-1]):
                chunk = images[start : start + self._batches[-1]]
                found = self.captured_for(letterbox, len(chunk)).run(chunk)
                for row in range(len(chunk)):
                    slots = int(found.found[row])
                    boxes, scores, labels, masks = (each[row, :slots].numpy().copy() for each in found[:4])
                    results.append(self._instances(letterbox, boxes, scores, labels, masks))
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                f"the GPU has no memory left ({error}): use a smaller batch or input size."
            ) from error
        return results

    def captured_for(self, letterbox: Letterbox, count: int) -> CapturedGraph:
        """Returns the graph for a letterbox and a number of frames, captured the first time.

        Args:
            letterbox: of the frames.
            count: number of frames, at most the largest batch.
        """
        batch = next(batch for batch in self._batches if batch >= count)
        captured = self._captured.get(letterbox.image_size, dict)
        if batch not in captured:
            captured[batch] = self._prepare(letterbox, batch)
        return captured[batch]

    def _prepare(self, letterbox: Letterbox, batch: int) -> CapturedGraph:
        if self._compiles:
            try:
                return self._captured_graph(letterbox, batch)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # compilers fail in many ways
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                _LOG.warning(
                    "torch cannot compile the network here (%s): it runs uncompiled, at about half the speed. "
                    "Compiling needs Triton, which comes with torch on Linux, and a C compiler.",
                    reason,
                )
                self._compiles = False
                self._graphs.clear()
        return self._captured_graph(letterbox, batch)

    def _captured_graph(self, letterbox: Letterbox, batch: int) -> CapturedGraph:
        graph = self._graph(letterbox.input_size, batch)
        fixed = {
            "classes": torch.from_numpy(self._classes),
            "score_min": torch.tensor([self._score_min]),
            **{name: torch.from_numpy(values) for name, values in vars(ResizePlan.of(letterbox)).items()},
        }
        inputs = graph.example_inputs(letterbox.image_size)._replace(**fixed)
        inputs = Inputs(*(each.to(self._device) for each in inputs))
        return self._capture(graph, inputs, letterbox)

    def _capture(self, graph: GpuGraph, inputs: Inputs, _letterbox: Letterbox) -> CapturedGraph:
        return CapturedGraph.of(graph, inputs, capture=self._device == "cuda")

    def _graph(self, shape: tuple[int, int], batch: int) -> GpuGraph:
        if (shape, batch) not in self._graphs:
            with torch.inference_mode():
                make = self._compiled if self._compiles else self._uncompiled
                self._graphs[shape, batch] = make(shape, batch)
        return self._graphs[shape, batch]

    def _compiled(self, shape: tuple[int, int], batch: int) -> GpuGraph:
        from roadmask.engines.torch_cuda.fused_graph import FusedGraph  # noqa: PLC0415 - it needs Triton

        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.subfolder("torch-inductor")))
        _LOG.info("torch compiles the network for %d frames of %d x %d, which takes about 15 s once", batch, *shape)
        graph = self._placed(FusedGraph, shape, batch)
        graph.compile_find()
        return graph

    def _uncompiled(self, shape: tuple[int, int], batch: int) -> GpuGraph:
        return self._placed(GpuGraph, shape, batch)

    def _placed(self, kind: type[_Graph], shape: tuple[int, int], batch: int) -> _Graph:
        graph = kind(load_model(self._weights), shape, batch, self._settings, self._dtype).eval()
        graph = graph.to(self._device)
        for part in graph.reduced_parts:
            part.to(memory_format=torch.channels_last)
        return graph


def open_segmenter(weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> Segmenter:
    """Returns the engine `torch-cuda`; by default one camera runs alone, and up to four share a batch."""
    return TorchCudaSegmenter(
        weights,
        category_ids,
        score_min=options.score_min,
        input_size=options.input_size,
        precision="fp32" if options.precision == "fp32" else "fp16",
        batches=options.batches or (1, 4),
    )
