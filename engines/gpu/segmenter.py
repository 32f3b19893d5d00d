"""A plan behind the interface of every engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from roadmask.engines.gpu.cuda import Cuda
from roadmask.engines.gpu.run import LoadedPlan, PlanRunner
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.network_segmenter import NetworkSegmenter
from roadmask.engines.segmenter import Image
from roadmask.engines.weights import Weights

_STREAMS = 2
"""For each size of frames: one copies while the other computes."""


class TensorRtSegmenter(NetworkSegmenter):
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
        super().__init__(
            "tensorrt",
            weights,
            category_ids,
            precision=precision,
            score_min=score_min,
            network_shape=network_shape,
        )
        self._plan_for, self._cuda = plan_for, cuda
        self._runners: dict[tuple[int, int], list[PlanRunner]] = {}
        self._plans: dict[tuple[int, int], LoadedPlan] = {}

    def _segment(self, pictures: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        runners, found = self.runners_for(letterbox), list[Instances]()
        batch = self._plans[letterbox.network_shape].batch
        running: deque[tuple[PlanRunner, int]] = deque()
        for number, start in enumerate(range(0, len(pictures), batch)):
            if len(running) == len(runners):
                found += self._collect(*running.popleft())
            runner, chunk = runners[number % len(runners)], pictures[start : start + batch]
            runner.launch(chunk)
            running.append((runner, len(chunk)))
        while running:
            found += self._collect(*running.popleft())
        return found

    def close(self) -> None:
        """Frees the GPU's memory."""
        for runners in self._runners.values():
            for runner in runners:
                runner.close()
        self._runners.clear()

    def runners_for(self, letterbox: Letterbox) -> list[PlanRunner]:
        """Returns the runners of frames that lie so in the network's input, made and captured the first time."""
        size, shape = letterbox.image_size, letterbox.network_shape
        if size not in self._runners:
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

    def _collect(self, runner: PlanRunner, count: int) -> list[Instances]:
        given, results = runner.collect(), []
        for row in range(count):
            slots = int(given["found"][row])
            boxes, scores, labels, masks = (
                given[name][row, :slots].copy() for name in ("boxes", "scores", "labels", "masks")
            )
            results.append(self._instances(runner.letterbox, boxes, scores, labels, masks))
        return results
