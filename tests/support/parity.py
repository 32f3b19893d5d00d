"""One image through torchvision and through the static graphs, and whether the numbers are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from roadmask.engines import Image
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.static_graph import MaskInputs, StaticDetector, StaticMasks
from roadmask.engines.torch.segmenter import TorchSegmenter


@dataclass(frozen=True)
class Found:
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]


BOX_PX, SCORE, MASK = 0.05, 1e-4, 1e-3
"""How far fp32 may be from fp32 when sums are taken in another order."""


def assert_equal_numbers(ours: Found, theirs: Found, *, masks_too: bool = True) -> None:
    """Same instances in the same order."""
    assert ours.labels.tolist() == theirs.labels.tolist()
    np.testing.assert_allclose(ours.boxes, theirs.boxes, rtol=0, atol=BOX_PX)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=SCORE)
    if masks_too:
        np.testing.assert_allclose(ours.masks, theirs.masks, rtol=0, atol=MASK)


def assert_same_instances(ours: Found, theirs: Found) -> None:
    """Same instances, one to one; only those whose scores tie may stand in another order."""
    assert len(ours.labels) == len(theirs.labels)
    apart = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(-1) + 1e6 * (
        ours.labels[:, None] != theirs.labels[None]
    )
    rows, partners = linear_sum_assignment(apart)
    assert apart[rows, partners].max(initial=0) <= BOX_PX
    np.testing.assert_allclose(ours.scores, theirs.scores[partners], rtol=0, atol=SCORE)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=SCORE)
    np.testing.assert_allclose(ours.masks, theirs.masks[partners], rtol=0, atol=MASK)


def assert_same_proposals(ours: Tensor, theirs: Tensor) -> None:
    """Same boxes (K, 4), one to one; slots of ours beyond theirs are empty."""
    assert not ours[len(theirs) :].any()
    apart = torch.cdist(ours[: len(theirs)], theirs, p=float("inf")).numpy()
    rows, partners = linear_sum_assignment(apart)
    assert apart[rows, partners].max() <= BOX_PX


def run_static(detector: StaticDetector, masks: StaticMasks, letterbox: Letterbox, image: Image) -> Found:
    """Runs both graphs in torch as an engine does, again until NMS has converged."""
    inputs = detector.example_inputs()._replace(
        image=torch.from_numpy(letterbox.apply(image))[None], content=torch.tensor(letterbox.content_size).float()
    )
    with torch.inference_mode():
        found = detector(*inputs)
        while not found.converged:
            found = detector(*inputs._replace(proposal_keep=found.proposal_keep, detection_keep=found.detection_keep))
        count, slots = int(found.found), masks.settings.masks_per_run
        predicted = []
        for start in range(0, count, slots):
            rows = torch.arange(start, start + slots).clamp(max=len(found.boxes) - 1)
            predicted.append(masks(*MaskInputs(found.atlas, found.boxes[rows], found.labels[rows])).masks)
    return Found(
        found.boxes[:count].numpy(),
        found.scores[:count].numpy(),
        found.labels[:count].numpy(),
        torch.cat([*predicted, torch.zeros(0, 28, 28)])[:count].numpy(),
    )


@contextmanager
def watched_proposals(detector: StaticDetector) -> Iterator[list[Tensor]]:
    """Collects the proposals that the box head of a static detector gets, each run's."""
    seen: list[Tensor] = []
    grid = detector.roi_align.grid

    def watched(boxes: Tensor, side: int) -> Tensor:
        seen.append(boxes)
        return grid(boxes, side)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector.roi_align, "grid", watched)
        yield seen


def run_torchvision(reference: TorchSegmenter, letterbox: Letterbox, image: Image) -> Found:
    found = reference.run(torch.from_numpy(letterbox.apply(image))[None], letterbox.content_size)
    boxes, scores, labels, masks = (found[name].numpy() for name in ("boxes", "scores", "labels", "masks"))
    return Found(boxes, scores, labels, masks[:, 0])
