"""torchvision's own modules behind the inputs and outputs of our graph, so that both are timed on the same work."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_io import Inputs, Outputs
from roadmask.engines.networks.graph_letterbox import GraphLetterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights
from roadmask.engines.torch.segmenter import eager_model


class EagerGraph(nn.Module):
    """Camera frames to detections by torchvision's backbone, RPN and heads, resized and normalised as in our graph.

    torchvision's own resizing and its pasting of masks are left out: they are in neither side.

    Args:
        weights: see `find_weights`.
        letterbox: how frames lie in the network's input.
        settings: numbers of anchors, proposals and detections.
        score_min: detections below it are left out.
        half: compute under torch's autocast to fp16, which is how torchvision is run in half.
    """

    def __init__(
        self, weights: Weights, letterbox: Letterbox, settings: GraphSettings, score_min: float, *, half: bool
    ) -> None:
        super().__init__()
        self.model = eager_model(weights, score_min, settings)
        self.letterbox = GraphLetterbox(letterbox.input_size)
        transform = self.model.transform
        for name, values in (("_mean", transform.image_mean), ("_std", transform.image_std)):
            self.register_buffer(name, torch.tensor(values)[None, :, None, None] * 255, persistent=False)
        self._content, self._detections, self._half = letterbox.content_size, settings.detections, half

    _mean: Tensor
    _std: Tensor

    def forward(self, *inputs: Tensor) -> Outputs:
        """Takes `Inputs`; NMS has no start here, and is exact at once."""
        given = Inputs(*inputs)
        down, across = (given.rows, given.row_weights), (given.columns, given.column_weights)
        image = self.letterbox(given.frames, down, across, given.content)
        pixels = (image.permute(0, 3, 1, 2).float() - self._mean) / self._std
        batch, device = len(pixels), pixels.device
        with torch.autocast(device.type, torch.float16) if self._half else nullcontext():
            features = self.model.backbone(pixels)
            proposals, _ = self.model.rpn(ImageList(pixels, [self._content] * batch), features)
            found, _ = self.model.roi_heads(features, proposals, [self._content] * batch)
        return Outputs(
            self._padded([each["boxes"] for each in found]),
            self._padded([each["scores"] for each in found]),
            self._padded([each["labels"].to(torch.int32) for each in found]),
            self._padded([each["masks"][:, 0] for each in found]),
            torch.tensor([len(each["scores"]) for each in found], dtype=torch.int32, device=device),
            torch.ones(batch, device=device),
            given.proposal_keep,
            given.detection_keep,
        )

    def _padded(self, values: list[Tensor]) -> Tensor:
        """Returns (B, D, ...), the slots behind each image's own detections zero."""
        rows = []
        for each in values:
            row = each.float() if each.is_floating_point() else each
            rows.append(F.pad(row, (*[0] * (2 * (row.dim() - 1)), 0, self._detections - len(row))))
        return torch.stack(rows)
