"""torchvision's Mask R-CNN inference as graphs in which every shape is fixed.

    detector: uint8 image -> normalise -> backbone and FPN -> RPN -> best anchors of each level -> NMS
        -> K proposals -> RoIAlign -> box head -> best M candidates -> NMS by class -> D detections
    masks: a few detections -> RoIAlign -> mask head, as often as the image has detections

Same weights, same numbers as torchvision (He et al., Mask R-CNN, 2017); what torchvision does with tensors whose
length depends on the image is done here with padding, and the number of real detections is an output. Padded slots
cost as much as real ones, and masks are the dearest, so they are a graph of their own. Both export to plain ONNX: no
NonMaxSuppression, no NonZero, no loop, no custom operator.

NMS runs a fixed number of steps (see nms.py). If an image needs more, `converged` is 0 and the caller runs the
detector again with `proposal_keep` and `detection_keep` as it left them, until it is 1. The detections are then
exactly those of greedy NMS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN

from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.nms import converge, suppression_matrix
from roadmask.engines.networks.roi_align import AtlasRoIAlign
from roadmask.engines.networks.static_network import StaticNetwork

_MAX_LOG_SCALE = math.log(1000 / 16)
NOTHING = -1e6
"""Rank of a slot without a proposal, far below every objectness logit."""
PROPOSAL_MIN_SIDE = 1e-3
DETECTION_MIN_SIDE = 1e-2
BOX_SIDE, MASK_SIDE_IN = 7, 14
"""Number of bins along each side of the inputs of the box and mask heads."""


class DetectorInputs(NamedTuple):
    """Inputs of the detector, in this order."""

    image: Tensor
    """uint8 (1, H, W, 3) RGB, letterboxed."""
    content: Tensor
    """float (2,): height and width of the part of the image that is not padding."""
    classes: Tensor
    """float (C,): 1 for the model's labels to report, 0 for the others and the background."""
    score_min: Tensor
    """float (1,): minimum score of the detections."""
    proposal_keep: Tensor
    """float (L, N): where the proposals' NMS starts; ones for a new image."""
    detection_keep: Tensor
    """float (M,): where the detections' NMS starts; ones for a new image."""


class DetectorOutputs(NamedTuple):
    """Outputs of the detector, in this order; slots beyond `found` are undefined."""

    boxes: Tensor
    """float (D, 4) x1, y1, x2, y2 in pixels of the network's input, clipped to the content."""
    scores: Tensor
    """float (D,), best first."""
    labels: Tensor
    """int64 (D,), the model's own."""
    found: Tensor
    """int64 (1,): number of slots that are detections."""
    converged: Tensor
    """float (1,): 1 if NMS converged, so that all else is exact."""
    proposal_keep: Tensor
    """float (L, N): where the proposals' NMS stopped."""
    detection_keep: Tensor
    """float (M,): where the detections' NMS stopped."""
    atlas: Tensor
    """float (1, C, h, w): the FPN levels, for the masks."""
    coordinates: Tensor
    """float (3,): samples of what lies between the networks. As outputs they keep its arithmetic in fp32 on engines
    that compute everything ahead of a network in reduced precision, and only the tail in full."""


class StaticDetector(StaticNetwork):
    """A torchvision Mask R-CNN for one network shape, up to its detections.

    Args:
        model: with its weights, in eval mode; shared, not copied.
        shape: height and width of the input, multiples of 32.
        settings: how many slots and steps.
    """

    def __init__(self, model: MaskRCNN, shape: tuple[int, int], settings: GraphSettings) -> None:
        super().__init__(model, shape, settings)
        mean, std = self.pixel_statistics()
        self.register_buffer("_mean", mean, persistent=False)
        self.register_buffer("_std", std, persistent=False)

    _mean: Tensor
    _std: Tensor

    def example_inputs(self) -> DetectorInputs:
        """Returns inputs of the right shapes: a black image, all classes, NMS from the start."""
        return DetectorInputs(
            torch.zeros(1, *self.shape, 3, dtype=torch.uint8),
            torch.tensor(self.shape, dtype=torch.float32),
            self.wanted_classes(),
            torch.tensor([0.05]),
            torch.ones(self._real_anchor.shape),
            torch.ones(self.candidates),
        )

    def forward(
        self,
        image: Tensor,
        content: Tensor,
        classes: Tensor,
        score_min: Tensor,
        proposal_keep: Tensor,
        detection_keep: Tensor,
    ) -> DetectorOutputs:
        """Runs the graph; see `DetectorInputs` and `DetectorOutputs`."""
        pixels = (image.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std
        features = list(self.model.backbone(pixels).values())
        limits = content.flip(0).repeat(2)  # x, y, x, y

        proposals, is_proposal, proposal_keep, proposals_converged, proposal_probe = self._propose(
            features, limits, proposal_keep
        )
        atlas = self.roi_align.atlas(features[:4])
        box_grid = self.roi_align.grid(proposals, BOX_SIDE)
        pooled = self.roi_align.sample(atlas, box_grid)
        boxes, scores, labels, detection_keep, detections_converged, detection_probe = self._detect(
            pooled, proposals, is_proposal, limits, classes, score_min, detection_keep
        )
        coordinates = torch.stack((proposal_probe, box_grid[0, 0, 0, 0], detection_probe))
        return DetectorOutputs(
            boxes,
            scores,
            labels,
            (scores > 0).sum().reshape(1),
            torch.minimum(proposals_converged, detections_converged).reshape(1),
            proposal_keep,
            detection_keep,
            atlas,
            coordinates,
        )

    def _propose(
        self, features: Sequence[Tensor], limits: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        rpn = self.model.rpn
        objectness, deltas = rpn.head(features)
        logits = [level.permute(0, 2, 3, 1).reshape(-1) for level in objectness]
        flat_deltas = torch.cat([_anchor_major(level) for level in deltas])

        rows = self._real_anchor.shape[1]
        best_logits, best_anchors, offset = [], [], 0
        for level, total, kept in zip(logits, self._level_counts, self._kept_counts, strict=True):
            values, indices = level.topk(kept)
            best_logits.append(F.pad(values, (0, rows - kept), value=NOTHING))
            best_anchors.append(F.pad(indices + offset, (0, rows - kept)))
            offset += total
        level_logits = torch.stack(best_logits)
        chosen = torch.stack(best_anchors)

        boxes = decode(flat_deltas[chosen], self._anchors[chosen], (1.0, 1.0, 1.0, 1.0), limits)
        active = self._real_anchor & is_larger(boxes, PROPOSAL_MIN_SIDE)
        suppresses = suppression_matrix(boxes, active, rpn.nms_thresh)
        keep, converged = converge(suppresses, keep, self.settings.nms_steps)
        ranks = torch.where((keep > 0.5) & active, level_logits, torch.full_like(level_logits, NOTHING))
        best, order = ranks.reshape(-1).topk(self.proposals)
        is_proposal = best > NOTHING / 2
        proposals = boxes.reshape(-1, 4)[order] * is_proposal[:, None]
        return proposals, is_proposal, keep, converged, suppresses[0, 0, 0]

    def _detect(
        self,
        pooled: Tensor,
        proposals: Tensor,
        is_proposal: Tensor,
        limits: Tensor,
        classes: Tensor,
        score_min: Tensor,
        keep: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        heads = self.model.roi_heads
        class_logits, deltas = heads.box_predictor(heads.box_head(pooled))
        probabilities = class_logits.softmax(-1) * classes * is_proposal[:, None]
        foreground = self.classes - 1
        scores, order = probabilities[:, 1:].reshape(-1).topk(self.candidates)
        sources = order // foreground
        labels = order - sources * foreground + 1
        chosen = deltas.reshape(-1, 4)[sources * self.classes + labels]
        boxes = decode(chosen, proposals[sources], heads.box_coder.weights, limits)
        active = (scores > score_min) & is_larger(boxes, DETECTION_MIN_SIDE)
        suppresses = suppression_matrix(boxes, active, heads.nms_thresh, groups=labels)
        keep, converged = converge(suppresses, keep, self.settings.nms_steps)
        ranks = torch.where((keep > 0.5) & active, scores, torch.zeros_like(scores))
        best, slots = ranks.topk(self.detections)
        return boxes[slots] * (best > 0)[:, None], best, labels[slots], keep, converged, suppresses[0, 0]


class MaskInputs(NamedTuple):
    """Inputs of the mask graph, in this order."""

    atlas: Tensor
    """float (1, C, h, w), the detector's."""
    boxes: Tensor
    """float (B, 4) x1, y1, x2, y2 in pixels of the network's input."""
    labels: Tensor
    """int64 (B,), the model's own."""


class MaskOutputs(NamedTuple):
    """Outputs of the mask graph, in this order."""

    masks: Tensor
    """float (B, 28, 28): probability of each cell for the detection's label."""
    coordinates: Tensor
    """float (1,): see `DetectorOutputs`."""


class StaticMasks(nn.Module):
    """The mask head of a torchvision Mask R-CNN for one network shape and a fixed number of detections.

    Args:
        model: with its weights, in eval mode; shared, not copied.
        shape: height and width of the detector's input.
        settings: how many slots.
    """

    def __init__(self, model: MaskRCNN, shape: tuple[int, int], settings: GraphSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.roi_align = AtlasRoIAlign(shape)

    def example_inputs(self) -> MaskInputs:
        """Returns inputs of the right shapes."""
        slots = self.settings.masks_per_run
        atlas = torch.zeros(1, self.model.backbone.out_channels, *self.roi_align.atlas_shape)
        return MaskInputs(atlas, torch.zeros(slots, 4), torch.ones(slots, dtype=torch.int64))

    def forward(self, atlas: Tensor, boxes: Tensor, labels: Tensor) -> MaskOutputs:
        """Runs the graph; see `MaskInputs` and `MaskOutputs`."""
        grid = self.roi_align.grid(boxes, MASK_SIDE_IN)
        pooled = self.roi_align.sample(atlas, grid)
        heads = self.model.roi_heads
        predictor = heads.mask_predictor
        hidden = predictor.relu(predictor.conv5_mask(heads.mask_head(pooled)))
        # Only the predicted label's channel of the last 1 x 1 convolution.
        weight = predictor.mask_fcn_logits.weight[:, :, 0, 0][labels]  # (D, C)
        bias = predictor.mask_fcn_logits.bias[labels]
        side = hidden.shape[-1]
        logits = torch.matmul(weight[:, None, :], hidden.flatten(2)).reshape(-1, side, side)
        probabilities: Tensor = (logits + bias[:, None, None]).sigmoid()
        return MaskOutputs(probabilities, grid[0, 0, 0, :1])


def _anchor_major(deltas: Tensor) -> Tensor:
    """(1, A * 4, H, W) -> (H * W * A, 4), the order of the anchors."""
    _, channels, height, width = deltas.shape
    return deltas.reshape(channels // 4, 4, height, width).permute(2, 3, 0, 1).reshape(-1, 4)


def decode(deltas: Tensor, boxes: Tensor, weights: tuple[float, float, float, float], limits: Tensor) -> Tensor:
    """BoxCoder of torchvision: (..., 4) offsets and the boxes they start from -> (..., 4), clipped to the limits.

    Its weights of x and y are the same, and those of width and height.
    """
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size
    # Numbers, not tensors: a GPU graph that is being captured may not copy any from the host.
    shift = deltas[..., :2] / weights[0]
    scale = (deltas[..., 2:] / weights[2]).clamp(max=_MAX_LOG_SCALE)
    new_centre = shift * size + centre
    new_half = 0.5 * (scale.exp() * size)
    decoded = torch.cat((new_centre - new_half, new_centre + new_half), dim=-1)
    return torch.minimum(decoded.clamp(min=0), limits)


def is_larger(boxes: Tensor, side: float) -> Tensor:
    """Returns where neither side of (..., 4) boxes is under this length in pixels."""
    return (boxes[..., 2:] - boxes[..., :2] >= side).all(-1)
