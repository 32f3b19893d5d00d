"""One grid_sample on an atlas of levels gives what torchvision's MultiScaleRoIAlign gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from roadmask.engines.networks.roi_align import AtlasRoIAlign

TOLERANCE = 1e-4
"""Features are of order 1; the grid goes through -1..1 in fp32, which moves samples by some 1e-5 of a cell."""


def reference(features: list[Tensor], boxes: Tensor, shape: tuple[int, int], side: int) -> Tensor:
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], side, 2)
    pool.scales, pool.map_levels = [1 / 4, 1 / 8, 1 / 16, 1 / 32], LevelMapper(2, 5)
    pooled: Tensor = pool({str(i): f for i, f in enumerate(features)}, [boxes], [shape])
    return pooled


def pyramid(shape: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 6, shape[0] // s, shape[1] // s, generator=generator) for s in (4, 8, 16, 32)]


@pytest.mark.parametrize("side", [7, 14])
@pytest.mark.parametrize("shape", [(384, 640), (64, 64), (640, 192)])
def test_random_boxes_of_every_level(shape: tuple[int, int], side: int) -> None:
    height, width = shape
    generator = torch.Generator().manual_seed(1)
    limits = torch.tensor([width, height]).float()
    corners = torch.rand(200, 2, generator=generator) * limits
    sides = torch.rand(200, 2, generator=generator) ** 3 * limits
    boxes = torch.cat((corners, torch.minimum(corners + sides, limits)), dim=1)
    features = pyramid(shape)
    ours = AtlasRoIAlign(shape)(features, boxes, side)
    assert (ours - reference(features, boxes, shape, side)).abs().max() < TOLERANCE


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 384, 256),  # the whole image
        (0, 0, 0, 0),  # nothing, in a corner
        (384, 256, 384, 256),  # nothing, in the far corner: samples fall outside
        (383.5, 10, 384, 200),  # a sliver at the right edge
        (10, 255.9, 300, 256),  # a sliver at the lower edge
        (0, 0, 1e-3, 1e-3),
        (0, 0, 224, 224),  # exactly at a border between levels
        (0, 0, 112, 112),
        (100, 100, 100.4, 250),  # thinner than a cell
    ],
)
def test_boxes_at_the_edges(box: tuple[float, float, float, float]) -> None:
    shape = (256, 384)
    features = pyramid(shape)
    boxes = torch.tensor([box]).float()
    ours = AtlasRoIAlign(shape)(features, boxes, 7)
    assert (ours - reference(features, boxes, shape, 7)).abs().max() < TOLERANCE
