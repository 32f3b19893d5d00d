"""The engine `tensorrt`: plans behind the interface of every engine."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox, choose_input_size
from roadmask.engines.networks.frame_size_cache import FrameSizeCache
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.runner import LoadedPlan, PlanRunner

_STREAMS = 2
"""Maximum number of streams for a plan and a frame size: one copies while the other computes."""
_LOG = logging.getLogger("roadmask")

Plans = Mapping[tuple[int, int], Mapping[int, Callable[[], LoadedPlan]]]
"""Input size -> batch size -> function that loads the plan, called once, when the plan is first needed."""
_Runners = dict[int, list[PlanRunner]]
"""Batch size -> its runners."""


class TensorRtSegmenter(NetworkSegmenter):
    """Runs plans on frames of any size; frames of one size, of whichever cameras, go through the GPU together.

    A call takes the smallest plan that holds its frames, and the largest again and again if none does.

    Args:
        weights: the plans' own.
        category_ids: COCO category ids to report.
        plans: at least one plan, of `input_size` if that is given.
        cuda: the GPU.
        precision: of the plans.
        score_min: instances below it are not reported.
        input_size: height and width of the network's input; by default chosen by each image's aspect from those
            that there are plans of.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        plans: Plans,
        cuda: Cuda,
        *,
        precision: str,
        score_min: float,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            "tensorrt",
            weights,
            category_ids,
            precision=precision,
            score_min=score_min,
            input_size=input_size,
        )
        self._plans, self._cuda = plans, cuda
        self._loaded: dict[tuple[tuple[int, int], int], LoadedPlan] = {}
        self._runners: FrameSizeCache[_Runners] = FrameSizeCache(drop=_close)

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Loads and captures the plan of each batch for images of this (H, W), and runs it once on black ones."""
        black = np.zeros((*image_size, 3), np.uint8)
        for batch in self._plans[self._letterbox(image_size).input_size]:
            self([black] * batch)

    def _letterbox(self, size: tuple[int, int]) -> Letterbox:
        return Letterbox.fit(size, self._input_size or choose_input_size(size, list(self._plans)))

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        found, largest = list[Instances](), max(self._plans[letterbox.input_size])
        running: deque[tuple[PlanRunner, int]] = deque()
        for start in range(0, len(images), largest):
            chunk = images[start : start + largest]
            if len(running) == _STREAMS:
                found += self._collect(*running.popleft())
            runner = self.runner_for(letterbox, len(chunk), busy=[runner for runner, _ in running])
            runner.launch(chunk)
            running.append((runner, len(chunk)))
        while running:
            found += self._collect(*running.popleft())
        return found

    def close(self) -> None:
        """Frees the memory on the GPU, as far as possible.

        Raises:
            EngineError: CUDA failed.
        """
        try:
            self._runners.clear()
        finally:
            self._loaded.clear()

    def runner_for(self, letterbox: Letterbox, count: int, busy: Sequence[PlanRunner] = ()) -> PlanRunner:
        """Returns a runner for a letterbox and a number of frames, made and captured the first time.

        Args:
            letterbox: of the frames.
            count: number of frames, at most the largest batch size that there is a plan for.
            busy: runners that still run, which are not returned.
        """
        shape = letterbox.input_size
        batch = min(batch for batch in self._plans[shape] if batch >= count)
        runners = self._runners.get(letterbox.image_size, lambda: self._begin(letterbox)).setdefault(batch, [])
        free = next((runner for runner in runners if runner not in busy), None)
        if free is None:
            if (shape, batch) not in self._loaded:
                self._loaded[shape, batch] = self._plans[shape][batch]()
            plan = self._loaded[shape, batch]
            free = PlanRunner(plan, letterbox.image_size, self._classes, self._score_min, self._cuda)
            runners.append(free)
        return free

    def _begin(self, letterbox: Letterbox) -> _Runners:
        height, width = letterbox.image_size
        best = choose_input_size(letterbox.image_size)
        if self._input_size is None and best != letterbox.input_size:
            ours, theirs = (f"{shape[0]}x{shape[1]}" for shape in (letterbox.input_size, best))
            _LOG.warning(
                "frames of %d x %d run at the input size %s, as there is no plan for %s", width, height, ours, theirs
            )
        return {}

    def _collect(self, runner: PlanRunner, count: int) -> list[Instances]:
        given, results = runner.collect(), []
        for row in range(count):
            slots = int(given["found"][row])
            boxes, scores, labels, masks = (
                given[name][row, :slots].copy() for name in ("boxes", "scores", "labels", "masks")
            )
            results.append(self._instances(runner.letterbox, boxes, scores, labels, masks))
        return results


def _close(runners: _Runners) -> None:
    """Closes every runner, even if closing one of them fails."""
    with ExitStack() as closing:
        for each in (runner for some in runners.values() for runner in some):
            closing.callback(each.close)
