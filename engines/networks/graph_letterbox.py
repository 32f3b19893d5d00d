"""Resizing and letterbox as a part of the graph: see resizing.py for the arithmetic, which is OpenCV's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from roadmask.engines.letterbox import PADDING


class GraphLetterbox(nn.Module):
    """Fits frames of any one size into the network's input.

    Args:
        shape: height and width of the network's input.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("_padding", torch.tensor(PADDING, dtype=torch.int32), persistent=False)

    _padding: Tensor

    def forward(
        self, frames: Tensor, down: tuple[Tensor, Tensor], across: tuple[Tensor, Tensor], content: Tensor
    ) -> Tensor:
        """Resizes and pads, in integers, as half cannot hold the sums.

        Args:
            frames: uint8 (B, h, w, 3).
            down: int32 (2, H) each: rows of a frame, and their weights.
            across: int32 (2, W) each: columns, and their weights.
            content: float (2,): height and width of what is not padding.

        Returns:
            int32 (B, H, W, 3), 0 to 255.
        """
        (rows, row_weights), (columns, column_weights) = down, across
        total = torch.zeros((), dtype=torch.int32, device=frames.device)
        numbers = frames.to(torch.int32)  # first of all: TensorRT takes bytes in, and can do nothing else with them
        for tap in range(2):
            lines = numbers.index_select(1, rows[tap])
            left, right = (lines.index_select(2, columns[side]) for side in range(2))
            line = left * column_weights[0][:, None] + right * column_weights[1][:, None]
            total = total + _cut(_cut(line, 4) * row_weights[tap][:, None, None], 16)
        image = _cut(total + 2, 2)
        height, width = self.shape
        below = torch.arange(height, device=frames.device) >= content[0]
        beside = torch.arange(width, device=frames.device) >= content[1]
        return torch.where((below[:, None] | beside[None, :])[..., None], self._padding, image)


def _cut(values: Tensor, bits: int) -> Tensor:
    """Shifts numbers that are not negative to the right; a division, as TensorRT has no shift."""
    cut: Tensor = values // 2**bits
    return cut
