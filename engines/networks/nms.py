"""Greedy non-maximum suppression with fixed shapes and nothing but matrix products.

With boxes sorted best first and ``S[i, j] = 1`` where box i comes before j and overlaps it too much, greedy NMS is the
only ``keep`` with ``keep = not (S^T keep > 0)``. Iterating that equation from any start decides the first n boxes after
n steps, and usually all of them within a few: the number of steps needed is the longest chain in which each box's fate
hangs on the one before. So a graph can unroll a fixed number of steps, say whether it converged, and be run again
from where it stopped when it did not; the result is then exactly that of greedy NMS.
"""

from __future__ import annotations

import torch
from torch import Tensor

_AREA_FLOOR = 1e-9
"""Square pixels; keeps the empty boxes of unused slots from dividing zero by zero."""


def overlaps_above(boxes: Tensor, iou_max: float) -> Tensor:
    """Returns where two boxes overlap by more than `iou_max`, computed as torchvision's NMS computes it.

    Args:
        boxes: (..., N, 4) x1, y1, x2, y2.
        iou_max: intersection over union, 0 to 1.

    Returns:
        (..., N, N) bool.
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    area = (x2 - x1) * (y2 - y1)
    width = torch.minimum(x2[..., :, None], x2[..., None, :]) - torch.maximum(x1[..., :, None], x1[..., None, :])
    height = torch.minimum(y2[..., :, None], y2[..., None, :]) - torch.maximum(y1[..., :, None], y1[..., None, :])
    intersection = width.clamp(min=0) * height.clamp(min=0)
    union = (area[..., :, None] + area[..., None, :] - intersection).clamp(min=_AREA_FLOOR)
    return intersection / union > iou_max


def suppression_matrix(boxes: Tensor, active: Tensor, iou_max: float, groups: Tensor | None = None) -> Tensor:
    """Returns who would suppress whom.

    Args:
        boxes: (..., N, 4), best first.
        active: (..., N) bool; the others suppress nobody.
        iou_max: boxes that overlap a better one by more than this are suppressed.
        groups: (..., N); only boxes of one group suppress each other. All are of one group by default.

    Returns:
        (..., N, N) float, 1 where box i suppresses box j if i itself is kept.
    """
    count = boxes.shape[-2]
    before = torch.ones(count, count, dtype=torch.bool, device=boxes.device).triu(diagonal=1)
    suppresses = overlaps_above(boxes, iou_max) & before & active[..., :, None]
    if groups is not None:
        suppresses = suppresses & (groups[..., :, None] == groups[..., None, :])
    return suppresses.to(boxes.dtype)


def converge(suppresses: Tensor, keep: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Iterates towards greedy NMS.

    Args:
        suppresses: (..., N, N) from `suppression_matrix`.
        keep: (..., N) float, 1 for kept: where to start. Ones, or what an earlier call returned.
        steps: iterations to unroll, at least 1.

    Returns:
        keep: (..., N) float; inactive boxes count as kept here.
        converged: () float, 1 if the last step changed nothing, so that `keep` is exact.
    """
    previous = keep
    for _ in range(steps):
        previous = keep
        # Sums of zeros and ones: positive or not is exact in every precision.
        suppressors = torch.matmul(keep.unsqueeze(-2), suppresses).squeeze(-2)
        keep = (suppressors < 0.5).to(keep.dtype)
    return keep, 1 - (keep - previous).abs().max()
