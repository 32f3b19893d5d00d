"""RoIAlign over all FPN levels as one grid_sample.

The levels lie side by side in one image, the atlas; every box is mapped to the region of its level and sampled
there. Same results as torchvision's MultiScaleRoIAlign (He et al., Mask R-CNN, section 3; level rule: Lin et al.,
Feature Pyramid Networks, equation 1) without selecting boxes by level, which would give data-dependent shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

_CANONICAL_SCALE = 224
_CANONICAL_LEVEL = 4
_FIRST_LEVEL = 2
_LEVEL_EPSILON = 1e-6
"""torchvision's own, so that boxes at the border between two levels fall on the same side."""
SAMPLING_RATIO = 2


class AtlasRoIAlign(nn.Module):
    """RoIAlign for one fixed network shape.

    Args:
        shape: height and width of the network's input, multiples of 32.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        # P2 on the left; P3, P4 and P5 below each other on its right. What is left under P5 stays zero.
        sizes = [(shape[0] // stride, shape[1] // stride) for stride in (4, 8, 16, 32)]
        self._height, self._left_width = sizes[0]
        self._width = sizes[0][1] + sizes[1][1]
        tops = [0, 0, sizes[1][0], sizes[1][0] + sizes[2][0]]
        lefts = [0, *[self._left_width] * 3]
        self.register_buffer("_scales", torch.tensor([1 / 4, 1 / 8, 1 / 16, 1 / 32]), persistent=False)
        self.register_buffer("_level_sizes", torch.tensor([(w, h) for h, w in sizes]).float(), persistent=False)
        self.register_buffer("_corners", torch.tensor(list(zip(lefts, tops, strict=True))).float(), persistent=False)
        self.register_buffer("_extent", torch.tensor([self._width - 1, self._height - 1]).float(), persistent=False)

    @property
    def atlas_shape(self) -> tuple[int, int]:
        """Height and width of the atlas."""
        return self._height, self._width

    _scales: Tensor
    _level_sizes: Tensor
    _corners: Tensor
    _extent: Tensor

    def atlas(self, features: Sequence[Tensor]) -> Tensor:
        """Returns P2..P5, each (1, C, h, w), as one (1, C, H, W)."""
        p2, *others = features
        column_width = self._width - self._left_width
        column = torch.cat([F.pad(p, (0, column_width - p.shape[3])) for p in others], dim=2)
        column = F.pad(column, (0, 0, 0, self._height - column.shape[2]))
        return torch.cat([p2, column], dim=3)

    def grid(self, boxes: Tensor, side: int) -> Tensor:
        """Returns where to sample the atlas.

        Args:
            boxes: (N, 4) in pixels of the network's input.
            side: bins along each side of the result.

        Returns:
            (N, side * 2, side * 2, 2) x, y in grid_sample's -1..1, both ends being centres of pixels.
        """
        x1, y1, x2, y2 = boxes.unbind(1)
        size = ((x2 - x1) * (y2 - y1)).sqrt()
        level = torch.floor(_CANONICAL_LEVEL + torch.log2(size / _CANONICAL_SCALE + 1e-12) + _LEVEL_EPSILON)
        level = level.clamp(_FIRST_LEVEL, _FIRST_LEVEL + 3).to(torch.int64) - _FIRST_LEVEL
        scaled = boxes * self._scales[level][:, None]
        start = scaled[:, :2]
        extent = (scaled[:, 2:] - start).clamp(min=1.0)
        samples = side * SAMPLING_RATIO
        steps = (torch.arange(samples, device=boxes.device) + 0.5) / samples
        points = start[:, None, :] + steps[None, :, None] * extent[:, None, :]  # (N, samples, 2)
        level_size = self._level_sizes[level][:, None, :]
        # torchvision gives zero beyond one pixel outside the level; the atlas is zero in its last corner.
        outside = (points < -1) | (points > level_size)
        inside = torch.minimum(points.clamp(min=0), level_size - 1) + self._corners[level][:, None, :]
        normalised = inside * (2 / self._extent) - 1
        shape = (boxes.shape[0], samples, samples)
        x = normalised[:, None, :, 0].expand(shape)
        y = normalised[:, :, None, 1].expand(shape)
        nowhere = outside[:, None, :, 0] | outside[:, :, None, 1]
        return torch.where(nowhere[..., None], torch.ones((), device=boxes.device), torch.stack((x, y), dim=-1))

    def sample(self, atlas: Tensor, grid: Tensor) -> Tensor:
        """Returns (N, C, side, side) from an atlas and a grid."""
        count, samples = grid.shape[0], grid.shape[1]
        flat = grid.reshape(1, count * samples, samples, 2)
        sampled = F.grid_sample(atlas, flat, mode="bilinear", padding_mode="zeros", align_corners=True)
        pooled = F.avg_pool2d(sampled, SAMPLING_RATIO)  # samples is even, so no bin spans two boxes
        side = samples // SAMPLING_RATIO
        return pooled.reshape(atlas.shape[1], count, side, side).transpose(0, 1)

    def forward(self, features: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
        """Returns (N, C, side, side) of (N, 4) boxes from P2..P5."""
        return self.sample(self.atlas(features), self.grid(boxes, side))
