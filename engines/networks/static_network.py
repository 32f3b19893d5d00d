"""The base of every static graph: the network for one input size, and slots for anchors, proposals and detections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.roi_align import AtlasRoIAlign


class StaticNetwork(nn.Module):
    """The network, its anchors, and how many slots each stage has: fewer than the settings say where there are fewer.

    Args:
        model: with its weights, in eval mode; shared, not copied.
        shape: height and width of the input, multiples of 32.
        settings: how many slots and steps.
    """

    def __init__(self, model: MaskRCNN, shape: tuple[int, int], settings: GraphSettings) -> None:
        super().__init__()
        self.model, self.shape, self.settings = model, shape, settings
        self.roi_align = AtlasRoIAlign(shape)
        with torch.no_grad():
            blank = torch.zeros(1, 3, *shape)
            features = list(model.backbone(blank).values())
            anchors = model.rpn.anchor_generator(ImageList(blank, [shape]), features)[0]
        per_cell = model.rpn.anchor_generator.num_anchors_per_location()
        self._level_counts = [f.shape[2] * f.shape[3] * a for f, a in zip(features, per_cell, strict=True)]
        self._kept_counts = [min(settings.anchors_per_level, count) for count in self._level_counts]
        self.register_buffer("_anchors", anchors, persistent=False)
        rows = max(self._kept_counts)
        real = torch.arange(rows)[None, :] < torch.tensor(self._kept_counts)[:, None]
        self.register_buffer("_real_anchor", real, persistent=False)
        self.proposals = min(settings.proposals, sum(self._kept_counts))
        self.classes = model.roi_heads.box_predictor.cls_score.out_features
        self.candidates = min(settings.candidates, self.proposals * (self.classes - 1))
        self.detections = min(settings.detections, self.candidates)

    _anchors: Tensor
    """(A, 4) x1, y1, x2, y2 in pixels of the network's input, level by level."""
    _real_anchor: Tensor
    """bool (L, N): which slots of a level hold an anchor."""

    def pixel_statistics(self) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation of pixels from 0 to 1, (1, 3, 1, 1) each."""
        transform = self.model.transform
        mean, std = (
            torch.tensor(values)[None, :, None, None] for values in (transform.image_mean, transform.image_std)
        )
        return mean, std

    def wanted_classes(self) -> Tensor:
        """Returns float (C,): all classes but the background."""
        classes = torch.ones(self.classes)
        classes[0] = 0
        return classes
