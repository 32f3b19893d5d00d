"""A plan behind the interface of every engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from roadmask.engines.gpu.cuda import Cuda
from roadmask.engines.gpu.run import LoadedPlan, PlanRunner
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.picture import checked_picture, network_instances
from roadmask.engines.segmenter import Image, SegmenterInfo
from roadmask.engines.weights import Weights

_STREAMS = 2
"""For each size of frames: one copies while the other computes."""


class TensorRtSegmenter:
    """Runs plans on frames of any size; frames of one size, of whichever cameras, go through the GPU together.

    Args:
        weights: the plans' own.
        category_ids: COCO category ids to report.
        plan_for: returns the plan of a network shape.
        cuda: the GPU.
        precision: of the plans.
        score_min: instances below it are not reported.
        network_shape: height and width of the network's input; chosen by each picture's aspect by default.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        plan_for: Callable[[tuple[int, int]], LoadedPlan],
        cuda: Cuda,
        *,
        precision: str,
        score_min: float,
        network_shape: tuple[int, int] | None = None,
    ) -> None:
        self._plan_for, self._cuda, self._shape, self._score_min = plan_for, cuda, network_shape, score_min
        self._categories = np.array(weights.architecture.category_ids, np.int64)
        self._classes = np.isin(self._categories, category_ids).astype(np.float32)
        self._runners: dict[tuple[int, int], list[PlanRunner]] = {}
        self._plans: dict[tuple[int, int], LoadedPlan] = {}
        self._info = SegmenterInfo.of("tensorrt", weights, precision, category_ids, score_min)

    @property
    def info(self) -> SegmenterInfo:
        """What it is made of."""
        return self._info

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Loads and captures what frames of this (H, W) need, and runs it once."""
        self([np.zeros((*image_size, 3), np.uint8)])

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Segments a batch; see `Segmenter`."""
        pictures = [checked_picture(image) for image in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for place, picture in enumerate(pictures):
            by_size.setdefault((picture.shape[0], picture.shape[1]), []).append(place)
        results: dict[int, Instances] = {}
        for size, places in by_size.items():
            runners = self._runners_for(size)
            batch = self._plans[runners[0].letterbox.network_shape].batch
            running: deque[tuple[PlanRunner, list[int]]] = deque()
            for number, start in enumerate(range(0, len(places), batch)):
                if len(running) == len(runners):
                    self._collect(*running.popleft(), results)
                runner, chunk = runners[number % len(runners)], places[start : start + batch]
                runner.launch([pictures[place] for place in chunk])
                running.append((runner, chunk))
            while running:
                self._collect(*running.popleft(), results)
        return [results[place] for place in range(len(pictures))]

    def close(self) -> None:
        """Frees the GPU's memory."""
        for runners in self._runners.values():
            for runner in runners:
                runner.close()
        self._runners.clear()

    def _collect(self, runner: PlanRunner, places: Sequence[int], results: dict[int, Instances]) -> None:
        found = runner.collect()
        for row, place in enumerate(places):
            count = int(found["found"][row])
            boxes, scores, masks = (found[name][row, :count].copy() for name in ("boxes", "scores", "masks"))
            labels = self._categories[found["labels"][row, :count]]
            results[place] = network_instances(runner.letterbox, boxes, scores, labels, masks)

    def _runners_for(self, size: tuple[int, int]) -> list[PlanRunner]:
        if size not in self._runners:
            shape = Letterbox.fit(size, self._shape).network_shape
            if shape not in self._plans:
                self._plans[shape] = self._plan_for(shape)
            made: list[PlanRunner] = []
            try:
                for _ in range(_STREAMS):
                    runner = PlanRunner(self._plans[shape], size, self._classes, self._score_min, self._cuda)
                    made.append(runner)
            except BaseException:
                for runner in made:
                    runner.close()
                raise
            self._runners[size] = made
        return self._runners[size]
