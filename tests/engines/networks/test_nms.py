"""The fixed-point NMS is greedy NMS, whatever the boxes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from roadmask.engines.networks.nms import converge, overlaps_above, suppression_matrix

STEPS = 8


def until_converged(suppresses: Tensor, steps: int = STEPS) -> tuple[Tensor, int]:
    """Returns keep and the number of runs, each starting where the one before stopped."""
    keep, runs = torch.ones(suppresses.shape[:-1]), 0
    while True:
        keep, converged = converge(suppresses, keep, steps)
        runs += 1
        if converged:
            return keep, runs
        assert runs <= suppresses.shape[-1], "every run converges at least one box"


def random_boxes(count: int, seed: int, extent: float = 200.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * extent
    return torch.cat((corners, corners + torch.rand(count, 2, generator=generator) * 80), dim=1)


def sliding_boxes(count: int) -> Tensor:
    """A row of equal boxes, each of which overlaps the next: every box's fate hangs on the one before."""
    left = torch.arange(count).float() * 4
    return torch.stack((left, torch.zeros(count), left + 10, torch.full((count,), 10.0)), dim=1)


def scores_falling(count: int) -> Tensor:
    return torch.linspace(1, 0.1, count)


@pytest.mark.parametrize(
    "boxes",
    [
        *(random_boxes(300, seed) for seed in range(5)),
        random_boxes(1, 0),
        random_boxes(1, 0).repeat(50, 1),  # equal boxes: only the first stays
        random_boxes(20, 1).repeat_interleave(5, 0),
        torch.zeros(10, 4),  # boxes without area overlap nothing
        torch.tensor([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20]]).float(),  # touching at edges
        sliding_boxes(120),
    ],
)
@pytest.mark.parametrize("iou_max", [0.3, 0.5, 0.7])
def test_equals_greedy_nms(boxes: Tensor, iou_max: float) -> None:
    expected = torch.zeros(len(boxes))
    expected[nms(boxes, scores_falling(len(boxes)), iou_max)] = 1
    keep, _ = until_converged(suppression_matrix(boxes, torch.ones(len(boxes), dtype=torch.bool), iou_max))
    assert torch.equal(keep, expected)


def test_equal_scores_keep_the_order_given() -> None:
    boxes = random_boxes(100, 3).repeat(2, 1)
    expected = torch.zeros(200)
    expected[nms(boxes, torch.ones(200), 0.5)] = 1  # torchvision sorts stably
    keep, _ = until_converged(suppression_matrix(boxes, torch.ones(200, dtype=torch.bool), 0.5))
    assert torch.equal(keep, expected)


def test_groups_do_not_suppress_each_other() -> None:
    boxes, groups = random_boxes(300, 7, extent=60), torch.arange(300) % 3
    expected = torch.zeros(300)
    expected[batched_nms(boxes, scores_falling(300), groups, 0.5)] = 1
    active = torch.ones(300, dtype=torch.bool)
    keep, _ = until_converged(suppression_matrix(boxes, active, 0.5, groups))
    assert torch.equal(keep, expected)


def test_levels_are_independent_and_inactive_boxes_suppress_nobody() -> None:
    boxes = torch.stack([random_boxes(100, seed, extent=60) for seed in range(3)])
    active = torch.rand(3, 100, generator=torch.Generator().manual_seed(0)) > 0.4
    keep, _ = until_converged(suppression_matrix(boxes, active, 0.5))
    for level in range(3):
        chosen = active[level].nonzero()[:, 0]
        expected = chosen[nms(boxes[level][chosen], scores_falling(100)[chosen], 0.5)].sort().values
        assert torch.equal((keep[level].bool() & active[level]).nonzero()[:, 0], expected)


def test_a_chain_longer_than_the_steps_says_so_and_is_finished() -> None:
    boxes = sliding_boxes(12 * STEPS)
    suppresses = suppression_matrix(boxes, torch.ones(len(boxes), dtype=torch.bool), 0.3)
    keep, converged = converge(suppresses, torch.ones(len(boxes)), STEPS)
    assert not converged
    expected = torch.zeros(len(boxes))
    expected[::2] = 1
    assert not torch.equal(keep, expected), "a chain this long cannot converge in so few steps"
    finished, runs = until_converged(suppresses)
    assert runs > 1
    assert torch.equal(finished, expected)


def test_boxes_that_are_decided_stay_so_from_any_start() -> None:
    boxes = random_boxes(200, 9, extent=60)
    suppresses = suppression_matrix(boxes, torch.ones(200, dtype=torch.bool), 0.5)
    expected, _ = until_converged(suppresses)
    again, converged = converge(suppresses, expected, 1)
    assert converged
    assert torch.equal(again, expected)
    start = torch.zeros(200)
    for _ in range(200 // STEPS + 2):
        start, converged = converge(suppresses, start, STEPS)
    assert converged
    assert torch.equal(start, expected)


def test_overlap_is_strictly_above() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5]]).float()  # IoU is exactly one half
    assert not overlaps_above(boxes, 0.5)[0, 1]
    assert overlaps_above(boxes, 0.499)[0, 1]
